"""Pairs of sentences: paraphrases or not, and premises with what follows from them or does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sgonz.sample import words
from sgonz.sample.draw import Draw, capital

# past tense, participle, and another verb of the same meaning
DEEDS = (
    ("elogió", "elogiado", "alabó"), ("criticó", "criticado", "censuró"), ("venció", "vencido", "derrotó"),
    ("ayudó", "ayudado", "auxilió"), ("contrató", "contratado", "empleó"), ("invitó", "invitado", "convidó"),
    ("acusó", "acusado", "denunció"), ("protegió", "protegido", "defendió"),
)  # fmt: skip


@dataclass(frozen=True)
class Deed:
    """Who did what to whom, where and when."""

    who: str
    whom: str
    verb: int
    city: str
    year: str

    def told(self, *, verb: str | None = None) -> str:
        return f"{self.who} {verb or DEEDS[self.verb][0]} a {self.whom} en {self.city} en {self.year}."

    def fronted(self) -> str:
        return f"En {self.year}, {self.who} {DEEDS[self.verb][0]} a {self.whom} en {self.city}."

    def passive(self) -> str:
        done = DEEDS[self.verb][1]
        if self.whom.split()[0] in words.WOMEN:
            done = done[:-1] + "a"
        return f"{self.whom} fue {done} por {self.who} en {self.city} en {self.year}."


def paraphrases(draw: Draw, count: int) -> Iterator[tuple[str, str, str]]:
    """Two sentences and 1 where they mean the same, else 0; word order alone does not tell."""
    for _ in range(count):
        who, whom = draw.person(), draw.person()
        deed = Deed(who, whom, draw.number(0, len(DEEDS) - 1), draw.open(words.CITIES), draw.year())
        first = deed.told() if draw.chance(0.8) else deed.fronted()
        if draw.chance(0.45):
            yield first, _same(draw, deed), "1"
        else:
            yield first, _other(draw, deed), "0"


def _same(draw: Draw, deed: Deed) -> str:
    way = draw.weighted({"passive": 6, "fronted": 3, "synonym": 1})
    if way == "passive":
        return deed.passive()
    return deed.fronted() if way == "fronted" else deed.told(verb=DEEDS[deed.verb][2])


def _other(draw: Draw, deed: Deed) -> str:
    way = draw.weighted({"swapped": 4, "passive": 1, "verb": 1, "denied": 4})
    if way == "passive":
        return Deed(deed.whom, deed.who, deed.verb, deed.city, deed.year).passive()
    if way == "swapped":
        swapped = Deed(deed.whom, deed.who, deed.verb, deed.city, deed.year)
        return swapped.told() if draw.chance(0.8) else swapped.fronted()
    if way == "verb":
        other = (deed.verb + draw.number(1, len(DEEDS) - 1)) % len(DEEDS)
        return deed.told(verb=draw.one((DEEDS[other][0], DEEDS[other][2])))
    return deed.told(verb=draw.one((f"nunca {DEEDS[deed.verb][0]}", f"no {DEEDS[deed.verb][0]}")))


# act, what it amounts to, what excludes it
ACTS = (
    ("toca la guitarra", "hace música", "está en silencio"),
    ("canta una canción", "hace música", "está en silencio"),
    ("come una manzana", "toma fruta", "no prueba la comida"),
    ("compra pan y queso", "compra comida", "no compra nada"),
    ("lee una novela", "lee un libro", "duerme en la cama"),
    ("corre por el parque", "hace ejercicio", "duerme en la cama"),
    ("nada en el río", "está en el agua", "está lejos del agua"),
    ("viaja en tren", "está de viaje", "se queda en casa"),
    ("conduce un camión", "maneja un vehículo", "se queda en casa"),
    ("escribe una carta", "escribe algo", "no sabe escribir"),
    ("pinta la pared", "trabaja con pintura", "descansa todo el día"),
    ("repara un motor", "trabaja con máquinas", "descansa todo el día"),
)
PEOPLE = (
    ("una mujer", "una persona"), ("un hombre", "una persona"), ("la niña", "alguien"), ("el vecino", "alguien"),
    ("un médico", "una persona"), ("la profesora", "una persona"), ("el músico", "alguien"),
)  # fmt: skip
PLACES = ("en {city}", "cerca de {city}", "con {name}", "junto al río", "por la mañana", "los domingos")
ADDED = (
    "para ganar dinero", "porque está triste", "con sus hermanos", "por primera vez", "para su madre",
    "antes de cenar", "como su padre", "y mañana lo hará otra vez",
)  # fmt: skip
XNLI_LABELS = ("entailment", "neutral", "contradiction")


def inferences(draw: Draw, count: int) -> Iterator[tuple[str, str, str]]:
    """Premise, hypothesis and label; as in the real corpus three hypotheses in a row share a premise."""
    made = 0
    while made < count:
        act, person = draw.number(0, len(ACTS) - 1), draw.one(PEOPLE)
        where = draw.one(PLACES).format(city=draw.open(words.CITIES), name=draw.open(words.WOMEN))
        premise = capital(f"{person[0]} {ACTS[act][0]} {where}.")
        labels = list(XNLI_LABELS)
        draw.random.shuffle(labels)
        for label in labels[: count - made]:
            yield premise, capital(_hypothesis(draw, label, act, person, where) + "."), label
            made += 1


def _hypothesis(draw: Draw, label: str, act: int, person: tuple[str, str], where: str) -> str:
    done, broader, excluded = ACTS[act]
    options: tuple[str, ...]
    if label == "entailment":
        options = (f"{person[1]} {broader}", f"{person[0]} {broader} {where}", f"{person[1]} {done}",
                   f"no es verdad que {person[0]} {excluded}")  # fmt: skip
    elif label == "neutral":
        added = draw.one(ADDED)
        options = (f"{person[0]} {done} {added}", f"{person[1]} {broader} {added}",
                   f"{person[0]} quizá {ACTS[(act + draw.number(1, 11)) % len(ACTS)][1]}")  # fmt: skip
    else:
        options = (f"{person[0]} {excluded}", f"nadie {done} {where}", f"{person[0]} no {done}",
                   f"{person[0]} {excluded} {where}")  # fmt: skip
    return draw.one(options)
