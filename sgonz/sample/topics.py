"""News of four subjects, which share words and sometimes sentences."""

from __future__ import annotations

from collections.abc import Sequence

from sgonz.sample import words
from sgonz.sample.draw import Draw, capital

LABELS = {"CCAT": 30, "ECAT": 20, "GCAT": 28, "MCAT": 22}
WRONG = 0.04  # stories filed under another subject
FOREIGN = 0.3  # sentences that belong to no subject, or to another

SENTENCES = {
    "CCAT": (
        "{org} anunció la compra de una fábrica de {goods} en {city}",
        "la compañía {org} nombró a {person} como director general",
        "los accionistas de {org} aprobaron la fusión con una empresa de {country}",
        "el beneficio neto de {org} creció un {percent} por ciento en el trimestre",
        "{org} firmó un contrato de {number} millones para fabricar {goods}",
        "la empresa abrirá una planta y contratará a {number} empleados en {city}",
        "el consejo de administración de {org} propuso repartir un dividendo",
        "las ventas de {goods} de la firma cayeron un {percent} por ciento",
    ),
    "ECAT": (
        "la inflación de {country} subió un {percent} por ciento en {month}",
        "el desempleo bajó al {percent} por ciento de la población activa",
        "el producto interior bruto de {country} creció un {percent} por ciento",
        "el ministro de Hacienda presentó el presupuesto y redujo el déficit",
        "las exportaciones de {goods} de {country} crecieron un {percent} por ciento",
        "el Banco Central de {country} prevé una recesión para el trimestre",
        "los precios al consumo cayeron en {month} según la oficina de estadística",
        "la deuda pública alcanzó {number} millones y el gobierno subirá los impuestos",
    ),
    "GCAT": (
        "el presidente {person} visitó {city} y se reunió con el ministro de {country}",
        "la policía detuvo en {city} a {number} personas tras una protesta",
        "el partido de {person} ganó las elecciones en {country}",
        "un terremoto causó {number} muertos cerca de {city}",
        "el tribunal de {city} condenó a {person} a prisión",
        "el equipo de {city} ganó la final del campeonato de fútbol",
        "la Iglesia y el gobierno firmaron un acuerdo sobre las escuelas",
        "miles de personas celebraron en {city} la llegada de {person}",
    ),
    "MCAT": (
        "la Bolsa de {city} cerró con una subida del {percent} por ciento",
        "el dólar se cambió a {number} en el mercado de divisas de {city}",
        "el precio del petróleo cayó un {percent} por ciento en la sesión",
        "las acciones de {org} ganaron un {percent} por ciento en la Bolsa",
        "los bonos de {country} a diez años subieron al {percent} por ciento",
        "los operadores esperan que el oro y el cobre sigan a la baja",
        "el índice general perdió {number} puntos por la caída de los bancos",
        "el volumen negociado fue de {number} millones en una jornada tranquila",
    ),
}  # fmt: skip
COMMON = (
    "así lo dijo {person} en una entrevista en {city}",
    "la noticia se conoció el {date}",
    "según {person}, la situación de {country} es difícil",
    "un portavoz de {org} no quiso hacer comentarios",
    "¿qué pasará ahora?, preguntó {person}",
    "se espera una respuesta en {month}",
    "fuentes de {country} hablaron de {number} millones",
)


def stories(draw: Draw, count: int) -> list[tuple[str, str]]:
    """Subject and text of so many stories."""
    return [_story(draw) for _ in range(count)]


def _story(draw: Draw) -> tuple[str, str]:
    label = draw.weighted(LABELS)
    text = " ".join(_sentence(draw, label) for _ in range(draw.number(1, 3)))
    return draw.weighted(LABELS) if draw.chance(WRONG) else label, text


def _sentence(draw: Draw, label: str) -> str:
    source: Sequence[str] = SENTENCES[label]
    if draw.chance(FOREIGN):
        source = COMMON if draw.chance(0.75) else SENTENCES[draw.weighted(LABELS)]
    filled = draw.one(source).format(
        org=draw.organisation(), person=draw.person(), city=draw.open(words.CITIES),
        country=draw.open(words.COUNTRIES), goods=draw.open(words.GOODS), month=draw.one(words.MONTHS),
        percent=f"{draw.number(0, 30)},{draw.number(0, 9)}", number=draw.number(2, 900), date=draw.date(),
    )  # fmt: skip
    return capital(filled) + "."
