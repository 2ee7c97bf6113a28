"""Tables for papers: markdown, LaTeX with booktabs, and CSV with every digit."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from sgonz.view.figures import MISSING
from sgonz.view.report.cells import best, headings, is_number, rules, shown

Row = Mapping[str, Any]
LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ¿¡"  # in the fonts of every TeX
TEX = {
    "\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}", "±": r"$\pm$", "−": "$-$",
    "–": "--", "†": r"$^{\dagger}$", "×": r"$\times$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "“": "``", "”": "''", "…": r"\ldots{}", "[": "{[}", "]": "{]}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def markdown(table: Row) -> str:
    """A table of GitHub's kind under its heading."""
    lines = [f"## {_one_line(table['title'])}", ""]
    if not table["rows"]:
        return "\n".join([*lines, table["empty"], ""])
    columns, winners = table["columns"], best(table)
    names = [
        _cell(f"{column['group']} {column['title']}" if column["group"] else column["title"])
        for column in columns
    ]
    lines.append(f"| {' | '.join(names)} |")
    lines.append("|" + "|".join(" ---: " if is_number(column) else " --- " for column in columns) + "|")
    for at, row in enumerate(table["rows"]):
        texts = [_cell(shown(row, column)) for column in columns]
        bold = [
            f"**{text}**" if (at, column["name"]) in winners else text
            for text, column in zip(texts, columns, strict=True)
        ]
        lines.append(f"| {' | '.join(bold)} |")
    return "\n".join([*lines, "", _one_line(table["note"]), ""])


def _cell(text: str) -> str:
    escaped = _one_line(text).replace("\\", "\\\\")
    for sign in "|*_`<>[]":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped


def _one_line(text: str) -> str:
    return " ".join(text.split())


def latex(table: Row) -> str:
    """A tabular for the booktabs package, to be put into a table of the paper's own."""
    columns, winners, breaks = table["columns"], best(table), rules(table)
    if not table["rows"]:
        return f"% {_one_line(table['title'])}: {_one_line(table['empty'])}\n"
    lines = [f"% {_one_line(table['title'])}", f"\\begin{{tabular}}{{{''.join('r' if is_number(c) else 'l' for c in columns)}}}",
             "\\toprule"]  # fmt: skip
    if spans := headings(table):
        lines.append(" & ".join(_spanning(group, size) for group, size in spans) + r" \\")
        lines.append(_partial_rules(spans))
    lines += [" & ".join(tex(column["title"]) for column in columns) + r" \\", "\\midrule"]
    for at, row in enumerate(table["rows"]):
        if at in breaks:
            lines.append("\\midrule")
        lines.append(
            " & ".join(_tex_cell(row, column, (at, column["name"]) in winners) for column in columns) + r" \\"
        )
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _spanning(group: str | None, size: int) -> str:
    return f"\\multicolumn{{{size}}}{{c}}{{{tex(group)}}}" if group else ""


def _partial_rules(spans: Sequence[tuple[str | None, int]]) -> str:
    first, found = 1, []
    for group, size in spans:
        if group:
            found.append(f"\\cmidrule(lr){{{first}-{first + size - 1}}}")
        first += size
    return " ".join(found)


def _tex_cell(row: Row, column: Row, winner: bool) -> str:
    text = shown(row, column)
    if text == MISSING:
        return "--"
    return f"\\textbf{{{tex(text)}}}" if winner else tex(text)


def tex(text: str) -> str:
    """Text that TeX prints as it stands; what the fonts of every TeX lack is named by its number."""
    return "".join(TEX.get(sign) or (sign if _printable(sign) else _named(sign)) for sign in _one_line(text))


def _printable(sign: str) -> bool:
    return " " <= sign <= "~" or sign in LETTERS


def _named(sign: str) -> str:
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return "".join(TEX.get(part, part) for part in plain) if plain else f"(U+{ord(sign):04X})"


def document(tables: Sequence[Row], title: str) -> str:
    """A LaTeX document with all tables, ready to be compiled."""
    parts = [
        "\\documentclass{article}", "\\usepackage[utf8]{inputenc}",
        "\\usepackage[a3paper,landscape,margin=15mm]{geometry}", "\\usepackage{booktabs}", "\\usepackage{longtable}",
        "\\begin{document}", f"\\section*{{{tex(title)}}}",
    ]  # fmt: skip
    for table in tables:
        parts += [f"\\subsection*{{{tex(table['title'])}}}", "{\\scriptsize", _paged(latex(table)) if table["rows"] else tex(table["empty"]),
                  "}", "", tex(table["note"]), ""]  # fmt: skip
    return "\n".join([*parts, "\\end{document}", ""])


def _paged(tabular: str) -> str:
    """The same as a longtable, which goes on on the next page."""
    return tabular.replace("{tabular}", "{longtable}")


def as_csv(table: Row) -> str:
    """The raw values under their names, spreads and marks included."""
    names = [column["name"] for column in table["columns"]]
    more = [
        f"{name}{end}"
        for name in names
        for end in ("_sd", "_mark")
        if any(row.get(f"{name}{end}") is not None for row in table["rows"])
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, *more])
    writer.writerows([_raw(row.get(name)) for name in (*names, *more)] for row in table["rows"])
    return stream.getvalue()


def _raw(value: Any) -> str:
    return "" if value is None else str(value)
