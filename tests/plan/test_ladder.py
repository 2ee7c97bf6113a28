from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sgonz.plan.ladder import Climb, Place, Rung, climb, is_below, up
from sgonz.plan.runs import Kind

SMALL = Rung(name="small", memory_gb=16, max_memory_gb=40)
MIDDLE = Rung(name="middle", memory_gb=32)
LARGE = Rung(name="large", memory_gb=128)
LADDER = [SMALL, MIDDLE, LARGE]
TRIED = Climb(cluster="c", kind=Kind.FINETUNE, model="m", dataset="d", place=Place(resource="small"), since=5.0,
              reason="the device had too little memory in small")  # fmt: skip
memories = st.one_of(st.none(), st.floats(1, 512))


def test_a_device_without_room_leads_to_the_next_class():
    assert up(LADDER, Place(resource="small"), host=False) == Place(resource="middle")
    assert up(LADDER, Place(resource="large"), host=False) is None


def test_a_host_without_room_leads_to_more_memory_up_to_the_limit_and_then_to_a_class_with_more():
    first = up(LADDER, Place(resource="small"), host=True)
    assert first == Place(resource="small", memory_gb=32)
    second = up(LADDER, first, host=True)
    assert second == Place(resource="small", memory_gb=40)
    assert up(LADDER, second, host=True) == Place(resource="large")  # middle has no more than that
    assert up(LADDER, Place(resource="large"), host=True) is None


def test_a_class_that_the_profile_no_longer_has_leads_nowhere():
    assert up(LADDER, Place(resource="gone"), host=False) is None


@given(
    st.lists(st.tuples(memories, memories), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_every_ladder_ends_and_each_step_is_higher_than_the_one_before(asked, hosts):
    ladder = [Rung(name=str(at), memory_gb=low, max_memory_gb=high) for at, (low, high) in enumerate(asked)]
    place = Place(resource="0")
    for host in hosts:
        higher = up(ladder, place, host=host)
        if higher is None:
            return
        assert is_below(ladder, place, higher)
        assert not is_below(ladder, higher, place)
        place = higher
    assert up(ladder, place, host=True) is None or up(ladder, place, host=False) is None or len(hosts) == 30


def test_runs_sent_before_a_climb_do_not_climb_again():
    first = climb(LADDER, None, Place(resource="small"), TRIED, host=False)
    assert first is not None
    assert first.place == Place(resource="middle")
    later = msgspec.structs.replace(TRIED, since=9.0)
    second = climb(LADDER, first, Place(resource="small"), later, host=False)
    assert second is not None
    assert (second.place, second.since) == (first.place, 9.0)
    third = climb(LADDER, second, Place(resource="middle"), later, host=False)
    assert third is not None
    assert third.place == Place(resource="large")
    assert climb(LADDER, third, Place(resource="large"), later, host=False) is None
