"""News sentences with names of persons, organisations, places and others."""

from __future__ import annotations

from collections.abc import Iterator

from sgonz.sample import words
from sgonz.sample.draw import Draw, Grammar, Token, grow

LONGEST = 150  # words of the one sentence that no window holds whole


def _entity(kind: str, name: str) -> list[Token]:
    return [(form, f"{'I' if at else 'B'}-{kind}") for at, form in enumerate(name.split())]


def _person(draw: Draw) -> list[Token]:
    name = draw.person()
    return _entity("PER", name if draw.chance(0.6) else name.split()[1])


NER: Grammar = {
    "PER": _person,
    "ORG": lambda draw: _entity("ORG", draw.organisation()),
    "LOC": lambda draw: _entity("LOC", draw.open(words.CITIES if draw.chance(0.6) else words.COUNTRIES)),
    "MISC": lambda draw: _entity("MISC", draw.open(words.EVENTS)),
    "NUM": lambda draw: [(str(draw.number(2, 900)), "O")],
    "N": lambda draw: [(draw.open(words.NOUNS_M), "O")],
    "S": (
        "<LOC> ,/O <NUM> may/O (/O EFE/B-ORG )/O ./O", "El/O presidente/O de/O <ORG> ,/O <PER> ,/O llegó/O a/O <LOC> ./O",
        "<PER> dijo/O hoy/O en/O <LOC> que/O <CL> ./O", "<PER> dijo/O que/O <CL> ./O", "Según/O <ORG> ,/O <CL> ./O",
        "El/O equipo/O de/O <LOC> ganó/O la/O <MISC> ./O", "<PER> recibió/O el/O <MISC> en/O <LOC> ./O",
        "La/O compañía/O <ORG> vendió/O <NUM> coches/O en/O <LOC> ./O", "El/O <N> cayó/O cerca/O de/O <LOC> ./O",
        "<ORG> firmó/O un/O acuerdo/O con/O <ORG> ./O", "<PER> y/O <PER> viajaron/O de/O <LOC> a/O <LOC> ./O",
        "El/O <N> costó/O <NUM> millones/O ./O", "No/O hubo/O heridos/O ,/O dijo/O <PER> ./O",
        "El/O ministro/O <PER> visitó/O la/O sede/O de/O <ORG> ./O", "\"/O El/O <N> es/O nuestro/O \"/O ,/O dijo/O <PER> ./O",
        "¿/O Quién/O paga/O el/O <N> ?/O", "<LOC> celebra/O la/O <MISC> ./O", "El/O <N> de/O <PER> está/O en/O <LOC> ./O",
        "Durante/O la/O <MISC> ,/O <CL> ./O",
    ),
    "CL": (
        "<ORG> compró/O <ORG>", "el/O <N> llegó/O a/O <LOC>", "<PER> no/O vive/O en/O <LOC>", "<PER> dejó/O <ORG>",
        "el/O <N> de/O <LOC> cuesta/O <NUM> pesetas/O", "<NUM> personas/O murieron/O en/O <LOC>",
        "<LOC> pierde/O ante/O <LOC>",
    ),
}  # fmt: skip


def names(draw: Draw, count: int) -> Iterator[list[Token]]:
    """Sentences as form and tag; as in the real files one opens inside a name, and training has a very long one."""
    for number in range(count):
        tokens = grow(draw, NER, "S")
        if number == count // 2:
            tokens = [("Janeiro", "I-LOC"), (",", "O"), *tokens]
        if number == count // 3 and not draw.unseen:
            while len(tokens) < LONGEST:
                tokens = [*tokens[:-1], (",", "O"), *grow(draw, NER, "CL"), (".", "O")]
        yield tokens


def conll2002(sentences: Iterator[list[Token]], *, classes: bool) -> str:
    """One word and its tag per line, a word class between them where asked; ends with an empty sentence."""
    text = "".join(
        "".join(f"{form} {_class(form) + ' ' if classes else ''}{tag}\n" for form, tag in tokens) + "\n"
        for tokens in sentences
    )
    return text + "\n"


def _class(form: str) -> str:
    if form.isdigit():
        return "Z"
    if not form.isalpha():
        return "F"
    return "NP" if form[0].isupper() else "NC"
