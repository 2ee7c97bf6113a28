"""Small data in Spanish that tiny models can learn, and how it stands in files."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FRUIT = ("manzana", "pera", "naranja", "uva", "melón", "sandía", "limón", "cereza")
ANIMAL = ("perro", "gato", "caballo", "ratón", "león", "camión", "pájaro", "vaca")
PLACE = ("Madrid", "Bogotá", "Santiago", "Sevilla", "Quito", "Lima", "Ávila", "Cuzco")
VERB = ("come", "mira", "lleva", "busca", "tiene", "quiere")


def one_text(dice: random.Random) -> dict[str, str]:
    label = dice.choice(("fruta", "animal"))
    word = dice.choice(FRUIT if label == "fruta" else ANIMAL)
    filler = " ".join(dice.choices(VERB, k=dice.randint(1, 6)))
    return {"sentence1": f"{filler} {word}", "label": label}


def two_texts(dice: random.Random) -> dict[str, str]:
    first = dice.choice(FRUIT)
    second = dice.choice((first, dice.choice(ANIMAL)))
    return {"sentence1": f"la {first}", "sentence2": f"una {second}", "label": str(int(second == first))}


def one_sentence(dice: random.Random) -> list[tuple[str, str]]:
    words = []
    for _ in range(dice.randint(2, 9)):
        pool, tag = dice.choice(((PLACE, "B-LOC"), (ANIMAL, "B-ANI"), (VERB, "O"), (FRUIT, "O")))
        words.append((dice.choice(pool), tag))
    return words


def one_question(dice: random.Random) -> dict[str, Any]:
    before = " ".join(dice.choices(FRUIT, k=dice.randint(2, 12)))
    place, animal = dice.choice(PLACE), dice.choice(ANIMAL)
    context = f"{before} En {place} el {animal} come."
    asked, answer = dice.choice((("¿Dónde?", place), ("¿Quién come?", animal)))
    return {"context": context, "question": asked, "answer": answer, "start": context.rindex(answer)}


def write(file: Path, name: str, rows: Sequence[Any]) -> str:
    if name == "tagging":
        text = "\n\n".join("\n".join(f"{word} {tag}" for word, tag in row) for row in rows) + "\n"
    elif name == "qa":
        text = json.dumps({"data": [{"paragraphs": [
            {"context": row["context"],
             "qas": [{"id": f"q{at}", "question": row["question"],
                      "answers": [{"text": row["answer"], "answer_start": row["start"]}]}]}
            for at, row in enumerate(rows)]}]})  # fmt: skip
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8")
    return str(file)
