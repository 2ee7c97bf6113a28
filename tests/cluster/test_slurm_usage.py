"""What sacct says that jobs used."""

from __future__ import annotations

from sgonz.cluster.slurm_usage import WHOLE, read_usage

SAID = """\
7_0|COMPLETED|0:0|100|n1|billing=1,cpu=1,gres/gpu=2,gres/gpu:a100=2,node=1||me
7_0.batch|COMPLETED|0:0|100|n1|cpu=1,gres/gpu=2|2048K|
7_0.0|COMPLETED|0:0|90|n1|cpu=1,gres/gpu=2|3M|
7_1|REQUEUED|0:0|40|n1|gres/gpu=1||me
7_1.batch|CANCELLED|0:15|40|n1|gres/gpu=1|1G|
7_1|TIMEOUT|0:0|60|n2|gres/gpu=1||me
7_2|RUNNING|0:0|5|n2|gres/gpu=1||me
7_3|PREEMPTED|0:0|9|n2|gres/gpu:v100=1||me
7_[4-6%2]|CANCELLED by 0|0:0|2|None assigned|||me
8_0|COMPLETED|0:0|3|n1|cpu=1,node=1|0|me
nonsense
7_[0-3]|PENDING|0:0|0|None assigned|||me
9|CANCELLED by 0|0:0|2|None assigned|||me
10|COMPLETED|0:0|4|n1|gres/gpu=1||me
"""


def test_every_start_of_a_job_counts_and_steps_tell_its_memory() -> None:
    found = read_usage(SAID)
    assert set(found) == {
        (7, 0),
        (7, 1),
        (7, 3),
        (7, 4),
        (7, 5),
        (7, 6),
        (8, 0),
        (9, WHOLE),
    }  # not what is at work
    first, again = found[7, 0], found[7, 1]
    assert (first.elapsed, first.gpus, first.peak_memory_mb, first.owner) == (100.0, 2, 3.0, "me")
    assert first.gres == "gpu=2,gpu:a100=2"
    assert (again.elapsed, again.state, again.node, again.peak_memory_mb) == (100.0, "TIMEOUT", "n2", 1024.0)
    assert found[7, 3].gpus == 1
    assert (found[7, 4].elapsed, found[7, 4].node) == (0.0, "")
    assert found[9, WHOLE].elapsed == 0.0
    assert found[8, 0].gpus is None  # counted by nobody: what was asked for stands in
