"""Sentences with parts of speech: agreement, words of two kinds, and words written as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgonz.sample import words
from sgonz.sample.draw import Draw, Grammar, Grow, Token, capital, grow

GLUED = "~"  # before a form that is written as one word with the one before it
CONTRACTED = {("de", "el"): "del", ("a", "el"): "al"}
ENDINGS = ("ms", "fs", "mp", "fp")


def plural(word: str) -> str:
    """The plural of a noun or adjective."""
    if word[-2:] in ("ón", "ín"):
        return word[:-2] + {"ó": "o", "í": "i"}[word[-2]] + "nes"
    if word.endswith("z"):
        return word[:-1] + "ces"
    return word + ("s" if word[-1] in "aeiouáéó" else "es")


def _feminine(adjective: str) -> str:
    return adjective[:-1] + "a" if adjective.endswith("o") else adjective


def _drawn(tag: str, forms: Sequence[str]) -> Grow:
    return lambda draw: [(draw.open(forms), tag)]


def _lexical() -> dict[str, Grow]:
    """Symbols that become one word: Nms, ADJfp, VTs, ..."""
    nouns = {"ms": words.NOUNS_M, "fs": words.NOUNS_F}
    adjectives = {"ms": words.ADJECTIVES, "fs": tuple(_feminine(word) for word in words.ADJECTIVES)}
    rules: dict[str, Grow] = {}
    for tag, symbol, forms in (("NOUN", "N", nouns), ("ADJ", "ADJ", adjectives)):
        for ending, singular in forms.items():
            rules[symbol + ending] = _drawn(tag, singular)
            rules[symbol + ending[0] + "p"] = _drawn(tag, tuple(plural(word) for word in singular))
    for column, (symbol, tag) in enumerate(
        (("VTs", "VERB"), ("VTp", "VERB"), ("INF", "VERB"), ("DONE", "VERB"))
    ):
        rules[symbol] = _drawn(tag, tuple(forms[column] for forms in words.TRANSITIVE))
    for column, symbol in enumerate(("VIs", "VIp")):
        rules[symbol] = _drawn("VERB", tuple(forms[column] for forms in words.INTRANSITIVE))
    return rules | {"ADV": _drawn("ADV", words.ADVERBS), "NAME": _name, "CITY": _city, "NUM": _number}


def _name(draw: Draw) -> list[Token]:
    full = draw.person().split()
    return [(form, "PROPN") for form in (full if draw.chance(0.5) else full[:1])]


def _city(draw: Draw) -> list[Token]:
    return [(form, "PROPN") for form in draw.open(words.CITIES).split()]


def _number(draw: Draw) -> list[Token]:
    return [
        (
            str(draw.number(2, 2019))
            if draw.chance(0.5)
            else draw.one(("dos", "tres", "cinco", "diez", "mil")),
            "NUM",
        )
    ]


def _noun_phrases() -> dict[str, Sequence[str]]:
    determiners = {
        "ms": "el/DET el/DET un/DET este/DET su/DET", "fs": "la/DET la/DET una/DET esta/DET su/DET",
        "mp": "los/DET los/DET unos/DET estos/DET <NUM>", "fp": "las/DET las/DET unas/DET estas/DET <NUM>",
    }  # fmt: skip
    rules: dict[str, Sequence[str]] = {}
    for end in ENDINGS:
        rules["DET" + end] = determiners[end].split()
        rules["NP" + end] = (
            *(f"<DET{end}> <N{end}>",) * 3, *(f"<DET{end}> <N{end}> <ADJ{end}>",) * 2, f"<DET{end}> <N{end}> de/ADP <NAME>",
            f"<DET{end}> <N{end}> de/ADP <NPms>", f"<DET{end}> <N{end}> que/PRON <VT{end[1]}> <NAME>",
        )  # fmt: skip
    return rules


POS: Grammar = {
    **_lexical(),
    **_noun_phrases(),
    "S": (
        *("<CL> ./PUNCT",) * 6, *("<ADV> ,/PUNCT <CL> ./PUNCT", "<PP> ,/PUNCT <CL> ./PUNCT") * 2,
        "<CL> y/CCONJ <CL> ./PUNCT", "<CL> ,/PUNCT pero/CCONJ <CL> ./PUNCT", "<CL> porque/SCONJ <CL> ./PUNCT",
        "si/SCONJ <CL> ,/PUNCT <CL> ./PUNCT", "<NAME> dijo/VERB que/SCONJ <CL> ./PUNCT",
        "\"/PUNCT <CL> \"/PUNCT ,/PUNCT dijo/VERB <NAME> ./PUNCT", "¿/PUNCT <VTs> <NAME> <OBJ> ?/PUNCT",
        "¿/PUNCT Quién/PRON <VTs> <OBJ> ?/PUNCT", "¡/PUNCT <INTJ> ,/PUNCT <NAME> !/PUNCT",
        "el/DET <NUM> %/SYM de/ADP <NPmp> <VIp> ./PUNCT", "<NPms> costó/VERB <NUM> €/SYM ./PUNCT",
        "el/DET ex/PART <Nms> <VIs> <PP> ./PUNCT", "<NAME> lee/VERB \"/PUNCT <X> \"/PUNCT ./PUNCT",
        "<NAME> ;/PUNCT <NAME> ./PUNCT",
    ),
    "CL": ("<SUBs> <VPs>", "<SUBs> <VPs>", "<SUBp> <VPp>"),
    "SUBs": ("<NPms>", "<NPfs>", "<NAME>", "<NAME>", "él/PRON", "ella/PRON", "uno/PRON de/ADP <NPmp>"),
    "SUBp": ("<NPmp>", "<NPfp>", "<NAME> y/CCONJ <NAME>", "ellos/PRON"),
    "OBJ": ("<NPms>", "<NPfs>", "<NPmp>", "<NPfp>", "a/ADP <NAME>", "a/ADP <NPms>"),
    "PP": (
        "en/ADP <CITY>", "en/ADP <NPfs>", "bajo/ADP <NPms>", "sobre/ADP <NPfs>", "para/ADP <NPms>", "con/ADP <NPfp>",
        "entre/ADP <NPmp>", "de/ADP <NPms>", "a/ADP <NPms>", "cerca/ADV de/ADP <CITY>", "como/SCONJ <NPms>",
    ),
    "VPs": (
        *("<VTs> <OBJ>", "<VIs> <PP>") * 3, "<VTs> <OBJ> <PP>", "<VIs> <ADV>", "no/ADV <VTs> <OBJ>", "lo/PRON <VTs>",
        "la/PRON <VTs> <ADV>", "ha/AUX <DONE> <OBJ>", "es/AUX <ADJms>", "está/AUX <ADV>", "fue/AUX <DONE> por/ADP <NAME>",
        "quiere/VERB <INF> <OBJ>", "puede/AUX <INF> ~lo/PRON", "va/VERB a/ADP <INF> ~la/PRON <PP>",
        "se/PRON para/VERB en/ADP <NPfs>", "come/VERB y/CCONJ <VIs>",
    ),
    "VPp": (
        *("<VTp> <OBJ>", "<VIp> <PP>") * 3, "no/ADV <VIp> <ADV>", "los/PRON <VTp>", "las/PRON <VTp> <PP>",
        "han/AUX <DONE> <OBJ>", "son/AUX <ADJmp>", "quieren/VERB <INF> ~los/PRON", "fueron/AUX <DONE> en/ADP <CITY>",
    ),
    "INTJ": ("hola/INTJ", "oh/INTJ", "adiós/INTJ"),
    "X": ("time/X", "of/X the/X world/X", "le/X monde/X"),
}  # fmt: skip


def parts_of_speech(draw: Draw, count: int) -> Iterator[list[Token]]:
    """Sentences as form and universal tag; a form after ~ is written together with the one before it."""
    for _ in range(count):
        tokens = grow(draw, POS, "S")
        first = next(at for at, (form, _) in enumerate(tokens) if form[0].isalnum())
        tokens[first] = (capital(tokens[first][0]), tokens[first][1])
        yield tokens


def conllu(sentences: Iterator[list[Token]], name: str) -> str:
    """Sentences in ten columns, with a range row before the parts of a word that holds two."""
    return "".join(
        f"# sent_id = {name}-s{number}\n# text = {' '.join(_written(tokens))}\n{_rows(tokens)}\n"
        for number, tokens in enumerate(sentences, 1)
    )


def _together(tokens: list[Token], at: int) -> str | None:
    """The one word that this token and the next are written as, if they are."""
    if at + 1 == len(tokens):
        return None
    form, after = tokens[at][0], tokens[at + 1][0]
    if after.startswith(GLUED):
        return form + after[1:]
    joined = CONTRACTED.get((form.lower(), after))
    return capital(joined) if joined and form[0].isupper() else joined


def _written(tokens: list[Token]) -> Iterator[str]:
    skip = False
    for at, (form, _) in enumerate(tokens):
        joined = _together(tokens, at)
        if not skip:
            yield joined or form
        skip = joined is not None


def _rows(tokens: list[Token]) -> str:
    rows = []
    for at, (form, tag) in enumerate(tokens):
        if joined := _together(tokens, at):
            rows.append([f"{at + 1}-{at + 2}", joined, *"________"])
        form = form.removeprefix(GLUED)
        head, relation = ("0", "root") if at == 0 else ("1", "dep")
        rows.append([str(at + 1), form, form.lower(), tag, tag, "_", head, relation, "_", "_"])
    return "".join("\t".join(row) + "\n" for row in rows)
