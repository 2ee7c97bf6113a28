"""The tables: what the store holds. Times are seconds since the epoch, UTC.

A change here goes with a migration in db/migrations/versions and a new SCHEMA.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from sgonz.plan.runs import Kind, Outcome, State

SCHEMA = "0009"  # revisions are numbered, so that newer and older can be told apart without Alembic

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False, unique=True),  # "." where the database lies in the work folder
    Column("changes", BigInteger, nullable=False, server_default=text("0")),  # transactions that wrote
    Column(
        "recorded", BigInteger
    ),  # bytes of coordinator.jsonl when the last of them was; NULL where that is unknown
)


def _workspace() -> Column[int]:
    return Column("workspace_id", Integer, ForeignKey("workspaces.id"), primary_key=True)


def _of(table: str, *columns: str) -> ForeignKeyConstraint:
    """A foreign key within the workspace; `columns` named as in the other table, or `own=theirs`."""
    pairs = [column.partition("=") for column in columns]
    return ForeignKeyConstraint(
        ["workspace_id", *(own for own, _, _ in pairs)],
        [f"{table}.workspace_id", *(f"{table}.{theirs or own}" for own, _, theirs in pairs)],
    )


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workspace_id", Integer, ForeignKey("workspaces.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the text
    Column("recency", Integer, nullable=False),  # the highest is the one that commands speak of
    Column("cluster", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("submitted", Float, nullable=False),  # the last time
    Column("provenance", Text, nullable=False),  # JSON: versions, commit, who and where
    Column("text", Text, nullable=False),
    Column("spec_json", Text, nullable=False),
    Column("orders", Text),  # JSON: what a person said of it since
    UniqueConstraint("workspace_id", "name", "digest"),
    UniqueConstraint("workspace_id", "id"),
)

runs = Table(
    "runs",
    metadata,
    _workspace(),
    Column("run_id", Text, primary_key=True),
    Column("position", Integer, nullable=False),  # order of arrival: needs come before what needs them
    Column("kind", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("teacher", Text),
    Column("protocol", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("learning_rate", Float, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("loss", Text, nullable=False),
    Column("alpha", Float, nullable=False),
    Column("temperature", Float, nullable=False),
    Column("criterion", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed", Float),  # when it came into this state
    Column("reason", Text),
    Column("tag", Text),  # of the submission that carries it
    Column("element", Integer),
    Column("attempts", Integer, nullable=False),  # number of the last one
    Column("failures", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("last_outcome", Text),
    Column("signature", Text),
    Column("signature_repeats", Integer, nullable=False),
    Column("ended", Float),
    Column("seconds", Float),
    Column("best_epoch", Integer),
    Column("epochs_done", Integer),
    Column("validation_loss", Float),
    Column("validation_score", Float),  # the headline metric
    Column("test_score", Float),
    Column("criterion_value", Float),  # what selection goes by, smaller is better
    Column("validation", Text),  # JSON: every score of the finished run
    Column("test", Text),
    Column("flags", Text),
    Column("notes", Text),
    Column("spec", Text, nullable=False),  # run.json
    Column("generation", Integer, nullable=False, server_default=text("1")),  # raised when it is invalidated
    Column(
        "fence", Integer, nullable=False, server_default=text("0")
    ),  # attempts up to it do not count any more
    CheckConstraint("(tag IS NULL) = (element IS NULL)", name="carried"),
    CheckConstraint("state <> 'COMPLETED' OR tag IS NULL", name="at_rest"),
    _one_of("kind", Kind),
    _one_of("state", State),
    _one_of("last_outcome", Outcome),
    Index(None, "workspace_id", "tag", "element"),
    # These three hold all that counts, pivots and the best run of a data set are made of.
    Index(None, "workspace_id", "kind", "dataset", "state"),
    Index(None, "workspace_id", "dataset", "model", "state"),
    Index(None, "workspace_id", "kind", "state", "dataset", "criterion_value", "run_id"),
    # These two hold what a screen shows of very many: a page of them, and those that changed last.
    Index(None, "workspace_id", "position"),
    Index(None, "workspace_id", "state", "changed"),
)

sweep_runs = Table(
    "sweep_runs",
    metadata,
    _workspace(),
    Column("sweep_id", Integer, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("selected", Boolean, nullable=False, server_default=false()),  # the best of its group
    Column(
        "superseded", Boolean, nullable=False, server_default=false()
    ),  # its teacher is no longer the best
    _of("sweeps", "sweep_id=id"),
    _of("runs", "run_id"),
    Index(None, "workspace_id", "run_id"),
    # The few that are selected. Postgres has its words for it in connect.py: naming it here loads its dialect.
    SELECTED := Index(None, "workspace_id", "sweep_id", sqlite_where=text("selected = 1")),
)

needs = Table(
    "needs",
    metadata,
    _workspace(),
    Column("run_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("needed_id", Text, primary_key=True),
    _of("runs", "run_id"),
    _of("runs", "needed_id=run_id"),
    Index(None, "workspace_id", "needed_id"),
)

submissions = Table(
    "submissions",
    metadata,
    _workspace(),
    Column("tag", Text, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("sweep_id", Integer, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("planned", Float, nullable=False),
    Column("sent", Float),  # NULL while nobody has confirmed it
    _of("sweeps", "sweep_id=id"),
    UniqueConstraint("workspace_id", "sequence"),
)

jobs = Table(
    "jobs",
    metadata,
    _workspace(),
    Column("tag", Text, primary_key=True),
    Column("element", Integer, primary_key=True),
    Column("external_id", Text),
    Column("run_ids", Text, nullable=False),  # JSON, in the order of work
    Column("host", Text),
    Column("pid", Integer),
    Column("restart", Integer),
    Column("device", Text),
    Column("versions", Text),  # JSON
    Column("started", Float),  # its worker's first words
    Column("left", Float),  # its worker's last words
    Column("ended", Float),  # when it was seen to be over
    Column("outcome", Text),
    Column("evidence", Text),
    # What it used, once it was accounted: see store/usage.py.
    Column("accounted", Float),
    Column("elapsed", Float),
    Column("peak_memory_mb", Float),
    Column("counted_by", Text),  # sacct, or events
    Column("owner", Text),
    Column("node", Text),
    Column("gres", Text),
    Column("cluster_state", Text),
    Column("exit_code", Text),
    Column("gpus", Integer),
    _of("submissions", "tag"),
    _one_of("outcome", Outcome),
    CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended"),
    Index(None, "workspace_id", "ended"),
    Index(None, "workspace_id", "accounted"),
)

attempts = Table(
    "attempts",
    metadata,
    _workspace(),
    Column("run_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("tag", Text, nullable=False),
    Column("element", Integer, nullable=False),
    Column("host", Text),
    Column("device", Text),
    Column("precision", Text),
    Column("micro_batch", Integer),
    Column("steps", Integer),
    Column("parameters", BigInteger),
    Column("peak_memory_mb", Float),
    Column("started", Float, nullable=False),
    Column("ready", Float),
    Column("seen", Float, nullable=False),
    Column("ended", Float),
    Column("seconds", Float),
    Column("outcome", Text),
    Column("error", Text),
    Column("signature", Text),
    Column("evidence", Text),
    Column("device_seconds", Float),  # its part of what its job used, by the cluster's count
    Column("splits", Text),  # JSON: every smaller part that memory made it try; NULL where all fitted
    _of("runs", "run_id"),
    _one_of("outcome", Outcome),
    CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended"),
    Index(None, "workspace_id", "tag", "element"),
    SPLIT := Index(None, "workspace_id", sqlite_where=text("splits IS NOT NULL")),  # as above
)

scores = Table(
    "scores",
    metadata,
    _workspace(),
    Column("run_id", Text, primary_key=True),
    Column("final", Boolean, primary_key=True),  # of the finished run, not of an epoch
    Column("epoch", Integer, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("split", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # train_loss, validation_loss, accuracy, f1, ...
    Column("value", Float, nullable=False),
    _of("runs", "run_id"),
)

benchmarks = Table(
    "benchmarks",
    metadata,
    _workspace(),
    Column("run_id", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("batch_size", Integer, primary_key=True),
    Column("length", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    Column("parameters", BigInteger),
    Column("size_mb", Float),
    Column("macs", Float),
    Column("latency_ms", Float),
    _of("runs", "run_id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _workspace(),
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created", Float, nullable=False),
    _of("runs", "run_id"),
)

# Kept by triggers (db/triggers), so that nobody who counts has to read every run.
tallies = Table(
    "tallies",
    metadata,
    _workspace(),
    Column("sweep_id", Integer, primary_key=True),  # 0 for the whole work folder
    Column("kind", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    CheckConstraint("runs >= 0", name="runs"),
)

event_offsets = Table(
    "event_offsets",
    metadata,
    _workspace(),
    Column("file", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

problems = Table(
    "problems",
    metadata,
    _workspace(),
    Column("file", Text, primary_key=True),  # relative to the work folder
    Column("rule", Text, primary_key=True),  # by which it was handled
    Column("count", BigInteger, nullable=False),  # lines, where lines are what is wrong
    Column("detail", Text, nullable=False),
    Column("first", Float, nullable=False),
    Column("last", Float, nullable=False),
)

standings = Table(
    "standings",
    metadata,
    _workspace(),
    Column("sweep_id", Integer, primary_key=True),
    Column("changes", BigInteger, nullable=False),  # of the workspace, when this was true
    Column("until", Float),  # when time alone makes something due; NULL for never
    Column("free_jobs", Integer),
    Column("answer", Text, nullable=False),  # JSON: what `sgonz status` says
    _of("sweeps", "sweep_id=id"),
)

# Both belong to a name, so that they stay when the sweep file is edited and submitted again.
sweep_notes = Table(
    "sweep_notes",
    metadata,
    _workspace(),
    Column("sweep", Text, primary_key=True),  # name
    Column("number", Integer, primary_key=True),  # 1, 2, ... of the sweep
    Column("time", Float, nullable=False),
    Column("author", Text, nullable=False),
    Column("text", Text, nullable=False),
)

sweep_tags = Table(
    "sweep_tags",
    metadata,
    _workspace(),
    Column("sweep", Text, primary_key=True),  # name
    Column("tag", Text, primary_key=True),
)

# Made by us for a new database and by Alembic for an upgraded one, so apart from what migrations compare.
version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
