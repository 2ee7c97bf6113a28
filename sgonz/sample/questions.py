"""Short articles of facts, and questions on them whose answers stand in the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from sgonz.sample import words
from sgonz.sample.draw import Draw, capital

LONG = 60  # one article in so many needs several windows at 128 tokens
Place = tuple[str, int]  # answer, where it starts


@dataclass(frozen=True)
class Fact:
    """A sentence on a subject, and what can be asked about it: question -> slot that answers."""

    told: str
    asked: Mapping[str, str]


@dataclass(frozen=True)
class Article:
    """A context with its questions: (question, answer, where it starts)."""

    title: str
    context: str
    asked: tuple[tuple[str, Place], ...]


SLOTS: Mapping[str, Callable[[Draw], str]] = {
    "city": lambda draw: draw.open(words.CITIES),
    "country": lambda draw: draw.open(words.COUNTRIES),
    "person": Draw.person,
    "org": Draw.organisation,
    "year": Draw.year,
    "date": Draw.date,
    "job": lambda draw: draw.open(words.JOBS),
    "goods": lambda draw: draw.open(words.GOODS),
    "prize": lambda draw: draw.open(words.PRIZES),
    "river": lambda draw: draw.open(words.RIVERS),
    "few": lambda draw: str(draw.number(2, 15)),
    "many": lambda draw: str(draw.number(50, 890)),
}
PERSON = (
    Fact("{s} nació en {city} el {date}.", {"¿Dónde nació {s}?": "city", "¿Cuándo nació {s}?": "date"}),
    Fact("trabaja como {job} en {org}.", {"¿De qué trabaja {s}?": "job", "¿En qué empresa trabaja {s}?": "org"}),
    Fact("ganó el {prize} en {year}.", {"¿Qué premio ganó {s}?": "prize", "¿En qué año ganó {s} el premio?": "year"}),
    Fact("se casó con {person} y tiene {few} hijos.", {"¿Con quién se casó {s}?": "person", "¿Cuántos hijos tiene {s}?": "few"}),
    Fact("vive cerca de {city} con {few} gatos.", {"¿Dónde vive {s}?": "city", "¿Cuántos gatos tiene {s}?": "few"}),
)  # fmt: skip
COMPANY = (
    Fact("{s} fue fundada por {person} en {year}.", {"¿Quién fundó {s}?": "person", "¿En qué año fue fundada {s}?": "year"}),
    Fact("tiene {many} empleados y {few} oficinas.", {"¿Cuántos empleados tiene {s}?": "many", "¿Cuántas oficinas tiene {s}?": "few"}),
    Fact("fabrica {goods} para {country}.", {"¿Qué fabrica {s}?": "goods"}),
    Fact("su sede está en {city}.", {"¿Dónde está la sede de {s}?": "city"}),
    Fact("la dirige {person} desde el {date}.", {"¿Quién dirige {s}?": "person", "¿Desde cuándo la dirige?": "date"}),
)  # fmt: skip
TOWN = (
    Fact("{s} está en {country}, a orillas del río {river}.", {"¿Dónde está {s}?": "country", "¿Qué río pasa por {s}?": "river"}),
    Fact("tiene {many} mil habitantes.", {"¿Cuántos habitantes tiene {s}?": "many"}),
    Fact("su alcaldesa es {person} desde {year}.", {"¿Quién es la alcaldesa de {s}?": "person"}),
    Fact("la ciudad fue fundada el {date}.", {"¿Cuándo fue fundada {s}?": "date"}),
    Fact("allí se fabrican {goods} desde hace {few} años.", {"¿Qué se fabrica en {s}?": "goods"}),
)  # fmt: skip
SUBJECTS: Mapping[str, tuple[Callable[[Draw], str], tuple[Fact, ...]]] = {
    "person": (Draw.person, PERSON),
    "company": (lambda draw: draw.open(words.COMPANIES), COMPANY),
    "town": (lambda draw: draw.open(words.CITIES), TOWN),
}
FILLERS = (
    "Según cuentan los vecinos, «todo cambió» con los años.", "¡Nadie lo esperaba!", "La prensa habló mucho de ello.",
    "La historia es larga y está llena de anécdotas.", "El invierno fue muy frío aquel año, y la nieve cortó los caminos.",
)  # fmt: skip


def articles(draw: Draw, kinds: tuple[str, ...], count: int) -> list[Article]:
    """Articles that hold `count` questions together."""
    made: list[Article] = []
    left = count
    while left > 0:
        article = _article(draw, draw.one(kinds), left, long=len(made) % LONG == LONG - 1)
        left -= len(article.asked)
        made.append(article)
    return made


def _article(draw: Draw, kind: str, most: int, *, long: bool) -> Article:
    named, facts = SUBJECTS[kind]
    subject = named(draw)
    chosen = [facts[0], *draw.random.sample(facts[1:], draw.number(1, 2))]
    context, places = "", []
    for fact in chosen:
        context += draw.one(FILLERS) + " " if draw.chance(0.1) else ""
        sentence, found = _filled(draw, fact, subject)
        options = [(question.format(s=subject), slot) for question, slot in fact.asked.items()]
        question, slot = draw.one(options)
        text, at = found[slot]
        places.append((question, (text, len(context) + at)))
        context += sentence + " "
    if long:
        context += " ".join(draw.one(FILLERS) for _ in range(14)) + " "
        other, _ = _filled(draw, facts[0], subject)  # the first fact once more, told otherwise, windows away
        context += f"Otros dicen: {other} "
    draw.random.shuffle(places)
    return Article(subject, context[:-1], tuple(places[: min(most, draw.number(1, 3))]))


def _filled(draw: Draw, fact: Fact, subject: str) -> tuple[str, dict[str, Place]]:
    """The fact told, as a sentence, and where each slot's value stands in it."""
    sentence, found = "", {}
    for plain, slot, _, _ in Formatter().parse(fact.told):
        sentence += plain
        if slot:
            value = subject if slot == "s" else SLOTS[slot](draw)
            found[slot] = (value, len(sentence))
            sentence += value
    return capital(sentence), found


def squad(
    listed: list[Article], name: str, *, answers: Callable[[Place], list[Place]] = lambda place: [place]
) -> dict[str, Any]:
    """Articles as SQuAD 1.1 spells them; ids count within `name`."""
    ids = iter(range(sum(len(article.asked) for article in listed)))
    return {"version": "1.1", "data": [_entry(article, name, ids, answers) for article in listed]}


def _entry(article: Article, name: str, ids: Any, answers: Callable[[Place], list[Place]]) -> dict[str, Any]:
    asked = [
        {
            "question": question,
            "id": f"{name}-{next(ids):05d}",
            "answers": [{"text": text, "answer_start": at} for text, at in answers(place)],
        }
        for question, place in article.asked
    ]
    return {"title": article.title, "paragraphs": [{"context": article.context, "qas": asked}]}
