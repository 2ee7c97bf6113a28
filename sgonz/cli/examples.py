"""Lines to type, at the end of each command's help."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("sgonz run demo", "on this machine, in ./work"),
        ("sgonz run jobs/mine.toml --cluster my.toml", "on a cluster, as its profile says"),
        ("sgonz run demo --set finetune.grid.epochs=[2]", "with one key changed"),
    ),
    "plan": (
        ("sgonz plan demo", "how many runs, for how long"),
        ("sgonz plan speedy_gonzales --show", "the sweep file with every key explained"),
    ),
    "submit": (
        ("sgonz submit jobs/mine.toml --cluster my.toml", "then sgonz advance, now and again"),
        ("sgonz submit jobs/mine.toml --cluster my.toml --detach", "then nothing: log out"),
    ),
    "advance": (("sgonz advance --every 60", "a turn each minute until the sweep is done"),),
    "status": (
        ("sgonz status", "the newest sweep of ./work"),
        ('sgonz status --where "dataset = pos"', "one data set alone"),
        ("sgonz status --format json", "for scripts"),
    ),
    "results": (
        ("sgonz results", "the best run of every model and data set"),
        ('sgonz results --all --where "model ~ albeto-*"', "every run of some models"),
        ("sgonz results --format latex > table.tex", "for a paper; sgonz report has more"),
    ),
    "report": (
        ("sgonz report demo", "into work/reports/demo"),
        ("sgonz report demo -o paper", "into a folder of one's own"),
    ),
    "export": (
        ("sgonz export demo --models best", "the best run of every model, as transformers reads it"),
        ("sgonz export demo --tensorboard curves", "then: tensorboard --logdir curves"),
        ('sgonz export --curves curves.csv --where "dataset = pos"', "one data set, one file"),
    ),
    "logs": (
        ("sgonz logs", "of what failed last"),
        ("sgonz logs 9f0c -n 200", "of one run; the first digits of its id do"),
    ),
    "explain": (("sgonz explain 9f0c", "one run"), ("sgonz explain pos", "the gate of a data set")),
    "query": (
        ("sgonz query", "which named queries there are"),
        ("sgonz query leaderboard --format csv", "one of them"),
        ('sgonz query "SELECT state, COUNT(*) FROM runs GROUP BY state"', "or any question"),
    ),
    "diff": (
        ("sgonz diff 9f0c 1b2d", "two runs"),
        ("sgonz diff jobs/old.toml jobs/new.toml", "two sweeps"),
    ),
    "benchmark": (
        ("sgonz benchmark", "sizes of all models of the catalog, in a second"),
        ("sgonz benchmark --models albeto-tiny,beto-cased --device cpu", "their speed here"),
    ),
    "watch": (
        ("sgonz watch", "the newest sweep; 1 to 6 and Tab turn pages, Enter opens a run"),
        ('sgonz watch --sweep demo --where "dataset = pos"', "one sweep, one data set"),
    ),
    "history": (
        ("sgonz history", "since you asked last"),
        ("sgonz history --since 2h", "of the last two hours; --since start for all"),
    ),
    "failures": (
        ("sgonz failures", "then sgonz logs, sgonz explain RUN, sgonz retry"),
        ("sgonz failures --format csv", "a line for every group"),
    ),
    "pause": (('sgonz pause --where "dataset = pos" --dry-run', "which runs would be held back"),),
    "resume": (('sgonz resume --where "dataset = pos"', "what was paused goes on"),),
    "drain": (('sgonz drain --reason "maintenance tomorrow"', "what runs ends, nothing else begins"),),
    "set": (
        ("sgonz set max_jobs=20", "at most 20 jobs out at a time; max_jobs=none lifts it"),
        ('sgonz set priority=5 --where "dataset = pos"', "these first"),
    ),
    "invalidate": (
        ('sgonz invalidate 9f0c --reason "wrong file" --dry-run', "what would be done again"),
    ),
    "simulate": (("sgonz simulate demo --jobs 4 --jobs 16", "how long on 4 places, and on 16"),),
    "efficiency": (("sgonz efficiency --format csv", "every column, however narrow the terminal"),),
    "cancel": (
        ('sgonz cancel --where "model = albeto-xxlarge" --dry-run', "what would be stopped"),
        ("sgonz cancel 9f0c", "one run"),
    ),
    "retry": (('sgonz retry --where "state = FAILED and dataset = pos"', "then sgonz run goes on"),),
    "clean": (("sgonz clean --dry-run", "what could go, and how much room it takes"),),
    "import": (
        ("sgonz import study.csv --teacher beto-cased", "columns: dataset, student, learning_rate, ..."),
        ("sgonz import study.csv --column validation_loss=dev_loss", "a column called otherwise"),
    ),
    "doctor": (("sgonz doctor dev", "the cluster of slurm/dev"), ("sgonz doctor my.toml", "one's own")),
    "note": (('sgonz note demo "second seed, other tokenizer"', "also in the report"),),
    "tag": (("sgonz tag demo paper", "then --sweep paper means it"),),
}  # fmt: skip


def epilog(name: str) -> str | None:
    """The examples of a command as the end of its help."""
    lines = EXAMPLES.get(name)
    if lines is None:
        return None
    width = max(len(line) for line, _ in lines)
    return "\b\nExamples:\n" + "\n".join(f"  {line:{width}}  {meaning}" for line, meaning in lines)
