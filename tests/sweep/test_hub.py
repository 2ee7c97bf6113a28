"""What a sweep takes from a hub is told before anything is queued."""

from __future__ import annotations

from pathlib import Path

from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Model
from sgonz.sweep.hub import remark


def sources(tmp_path: Path) -> Sources:
    models = (
        Model(name="either", hub=("old/name", "new/name")),
        Model(name="cut", hub=("old/name", "new/name")),
        Model(name="own", path=str(tmp_path), tokenizer="some/tokenizer"),
        Model(name="made", architecture={"model_type": "bert"}, tokenizer=str(tmp_path / "not-there-yet")),
    )
    dataset = Dataset(name="reviews", task="classification", format="jsonl", hub="org/reviews")
    return Sources(
        datasets={"reviews": dataset}, models={model.name: model for model in models}, file="s.toml"
    )


def test_what_jobs_have_to_fetch_is_named_once_until_it_is_in_the_cache_that_they_have(
    tmp_path: Path,
) -> None:
    of, jobs = sources(tmp_path), {"HF_HUB_CACHE": str(tmp_path / "hf/hub")}
    said = remark(of, jobs)
    assert said is not None
    assert f"jobs will fetch old/name, some/tokenizer, org/reviews, not in {tmp_path}/hf/hub yet" in said
    assert "sgonz prefetch" in said
    for folder in ("models--new--name", "models--some--tokenizer", "datasets--org--reviews"):
        snapshot = tmp_path / "hf/hub" / folder / "snapshots" / "0"
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").touch()
    assert remark(of, jobs) is None
