"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

OUTCOMES = "IN ('COMPLETED', 'FAILED', 'TIMEOUT', 'OUT_OF_MEMORY', 'NODE_FAIL', 'PREEMPTED', 'CANCELLED', 'PRUNED', 'UNKNOWN')"


def upgrade() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("path", name="uq_workspaces_path"),
    )
    op.create_table(
        "event_offsets",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_event_offsets_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "file", name="pk_event_offsets"),
    )
    op.create_table(
        "runs",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("teacher", sa.Text()),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("learning_rate", sa.Float(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Text(), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=False),
        sa.Column("criterion", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed", sa.Float()),
        sa.Column("reason", sa.Text()),
        sa.Column("tag", sa.Text()),
        sa.Column("element", sa.Integer()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("last_outcome", sa.Text()),
        sa.Column("signature", sa.Text()),
        sa.Column("signature_repeats", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Float()),
        sa.Column("seconds", sa.Float()),
        sa.Column("best_epoch", sa.Integer()),
        sa.Column("epochs_done", sa.Integer()),
        sa.Column("validation_loss", sa.Float()),
        sa.Column("validation_score", sa.Float()),
        sa.Column("test_score", sa.Float()),
        sa.Column("criterion_value", sa.Float()),
        sa.Column("validation", sa.Text()),
        sa.Column("test", sa.Text()),
        sa.Column("flags", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('finetune', 'logits', 'distill', 'evaluate', 'benchmark', 'noop')",
            name="kind",
        ),
        sa.CheckConstraint(
            "last_outcome " + OUTCOMES,
            name="last_outcome",
        ),
        sa.CheckConstraint("state <> 'COMPLETED' OR tag IS NULL", name="at_rest"),
        sa.CheckConstraint(
            "state IN ('PENDING', 'SUBMITTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED', 'SKIPPED')",
            name="state",
        ),
        sa.CheckConstraint("(tag IS NULL) = (element IS NULL)", name="carried"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_runs_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "run_id", name="pk_runs"),
    )
    op.create_index(
        "ix_runs_workspace_id_tag_element", "runs", ["workspace_id", "tag", "element"], unique=False
    )
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("recency", sa.Integer(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("submitted", sa.Float(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("spec_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_sweeps_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sweeps"),
        sa.UniqueConstraint("workspace_id", "id", name="uq_sweeps_workspace_id_id"),
        sa.UniqueConstraint("workspace_id", "name", "digest", name="uq_sweeps_workspace_id_name_digest"),
    )
    op.create_table(
        "artifacts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "run_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_artifacts_workspace_id_run_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_artifacts_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "run_id", "kind", name="pk_artifacts"),
    )
    op.create_table(
        "attempts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("element", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text()),
        sa.Column("device", sa.Text()),
        sa.Column("precision", sa.Text()),
        sa.Column("micro_batch", sa.Integer()),
        sa.Column("steps", sa.Integer()),
        sa.Column("parameters", sa.BigInteger()),
        sa.Column("peak_memory_mb", sa.Float()),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("ready", sa.Float()),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.Column("ended", sa.Float()),
        sa.Column("seconds", sa.Float()),
        sa.Column("outcome", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("signature", sa.Text()),
        sa.Column("evidence", sa.Text()),
        sa.CheckConstraint(
            "outcome " + OUTCOMES,
            name="outcome",
        ),
        sa.CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "run_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_attempts_workspace_id_run_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_attempts_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "run_id", "attempt", name="pk_attempts"),
    )
    op.create_index(
        "ix_attempts_workspace_id_tag_element", "attempts", ["workspace_id", "tag", "element"], unique=False
    )
    op.create_table(
        "benchmarks",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("parameters", sa.BigInteger()),
        sa.Column("size_mb", sa.Float()),
        sa.Column("macs", sa.Float()),
        sa.Column("latency_ms", sa.Float()),
        sa.ForeignKeyConstraint(
            ["workspace_id", "run_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_benchmarks_workspace_id_run_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_benchmarks_workspace_id"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "run_id", "device", "batch_size", "length", name="pk_benchmarks"
        ),
    )
    op.create_table(
        "needs",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("needed_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "needed_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_needs_workspace_id_needed_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "run_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_needs_workspace_id_run_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_needs_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "run_id", "role", "needed_id", name="pk_needs"),
    )
    op.create_index("ix_needs_workspace_id_needed_id", "needs", ["workspace_id", "needed_id"], unique=False)
    op.create_table(
        "scores",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "run_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_scores_workspace_id_run_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_scores_workspace_id"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "run_id", "final", "epoch", "step", "split", "name", name="pk_scores"
        ),
    )
    op.create_table(
        "submissions",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("planned", sa.Float(), nullable=False),
        sa.Column("sent", sa.Float()),
        sa.ForeignKeyConstraint(
            ["workspace_id", "sweep_id"],
            ["sweeps.workspace_id", "sweeps.id"],
            name="fk_submissions_workspace_id_sweep_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_submissions_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "tag", name="pk_submissions"),
        sa.UniqueConstraint("workspace_id", "sequence", name="uq_submissions_workspace_id_sequence"),
    )
    op.create_table(
        "sweep_runs",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("selected", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("superseded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "run_id"],
            ["runs.workspace_id", "runs.run_id"],
            name="fk_sweep_runs_workspace_id_run_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "sweep_id"],
            ["sweeps.workspace_id", "sweeps.id"],
            name="fk_sweep_runs_workspace_id_sweep_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_sweep_runs_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "sweep_id", "run_id", name="pk_sweep_runs"),
    )
    op.create_index(
        "ix_sweep_runs_workspace_id_run_id", "sweep_runs", ["workspace_id", "run_id"], unique=False
    )
    op.create_table(
        "jobs",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("element", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("run_ids", sa.Text(), nullable=False),
        sa.Column("host", sa.Text()),
        sa.Column("pid", sa.Integer()),
        sa.Column("restart", sa.Integer()),
        sa.Column("device", sa.Text()),
        sa.Column("versions", sa.Text()),
        sa.Column("started", sa.Float()),
        sa.Column("left", sa.Float()),
        sa.Column("ended", sa.Float()),
        sa.Column("outcome", sa.Text()),
        sa.Column("evidence", sa.Text()),
        sa.CheckConstraint(
            "outcome " + OUTCOMES,
            name="outcome",
        ),
        sa.CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "tag"],
            ["submissions.workspace_id", "submissions.tag"],
            name="fk_jobs_workspace_id_tag",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_jobs_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "tag", "element", name="pk_jobs"),
    )
    op.create_index("ix_jobs_workspace_id_ended", "jobs", ["workspace_id", "ended"], unique=False)
