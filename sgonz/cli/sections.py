"""`sgonz --help`: the commands by what they are for, each with its whole first sentence."""

from __future__ import annotations

import click

from sgonz.cli.examples import epilog

# In the order in which a newcomer needs them; a command that stands nowhere is listed at the end.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Start here", ("plan", "run", "watch", "status", "results", "report")),
    (
        "On a cluster",
        ("submit", "advance", "cluster", "doctor", "prefetch", "efficiency", "simulate", "debug"),
    ),
    ("Find out", ("sweeps", "explain", "logs", "failures", "history", "query", "diff", "benchmark")),
    ("Step in", ("pause", "resume", "drain", "set", "cancel", "retry", "invalidate")),
    ("Keep and hand on", ("note", "tag", "export", "import", "clean", "db")),
    ("This tool", ("completion",)),
)


class Sections(click.Group):
    """A group that lists its commands in sections, and shows with each what to type."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        super().add_command(cmd, name)
        cmd.epilog = cmd.epilog or epilog(name or cmd.name or "")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = {name for _, names in SECTIONS for name in names}
        rest = tuple(name for name in self.list_commands(ctx) if name not in known)
        for title, names in (*SECTIONS, ("More", rest)):
            rows = [(name, first_sentence(self.commands[name])) for name in names if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Whole(click.Group):
    """A group that lists its commands with their whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, first_sentence(self.commands[name])) for name in self.list_commands(ctx)]
            )


def first_sentence(command: click.Command) -> str:
    """The first paragraph's first sentence, whole."""
    text = " ".join((command.help or "").strip().split("\n\n")[0].split())
    sentence, stop, _ = text.partition(". ")
    return f"{sentence}." if stop else text
