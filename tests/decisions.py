"""What is decided on texts, for whatever language decides: ``python -m tests.decisions`` writes
``data/decisions.json`` by ``edge_lstm/core/decide.py``.

A case is a model file with the answers that it might give. Its texts have a probability for each
label (null for NaN), how they were read, and how unlike the training texts they are. An answer of
null is a refusal: these are no probabilities.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.core.decide import (
    ERROR,
    STATUSES,
    Policy,
    ScorePrediction,
    are_probabilities,
    decide,
    mark_unfamiliar,
)
from edge_lstm.core.modelfile import ModelFile
from edge_lstm.errors import ModelFileError
from tests.model_files import compact, curve, edited, loaded

PATH = Path(__file__).parent / "data" / "decisions.json"
FORMAT = PATH.parent / "format"
SHARE = 0.05  # of familiar texts that may be called unfamiliar
CHOICE = {"file": "pieces.int8.onnx", "labels": ["a", "b", "c", "d"], "above": 0.3, "lowest": 0}
# ``lowest``: the probability from which on a text gets its label. 0.7 as float32 is less than 0.7.
KINDS: dict[str, dict[str, Any]] = {
    "choice": CHOICE,
    "abstains": {**CHOICE, "lowest": 0.7},
    "several": {
        "file": "several.int8.onnx",
        "labels": ["a", "b", "c"],
        "thresholds": [0.3, 0.5, 0.7],
        "lowest": 0,
    },
    "score": {**CHOICE, "labels": ["10", "-2.5", "+0", "3e0"], "question": "score"},
    "score that abstains": {
        **CHOICE,
        "labels": ["10", "-2.5", "+0", "3e0"],
        "question": "score",
        "lowest": 0.4,
    },
}


def file_of(kind: dict[str, Any]) -> bytes:
    """The model file of a case."""
    changes: dict[str, str | None] = {"labels": compact(kind["labels"])}
    if "question" in kind:
        changes["question"] = compact({"type": kind["question"]})
    if "thresholds" in kind:
        changes["multi_label"] = compact({"thresholds": kind["thresholds"]})
    else:
        points = [(0.0, 1000, 500), (kind["lowest"], 900, 0)][: 2 if kind["lowest"] else 1]
        more = {"default": 0.1} if kind["lowest"] else {}
        said = curve(*points, unfamiliar=[[SHARE, kind["above"]]], **more)
        changes["abstention"] = compact(json.loads(said))
    return edited(changes, of=(FORMAT / kind["file"]).read_bytes())


def rows_of(text: dict[str, Any]) -> np.ndarray:
    """The probabilities of a text, float32 [1, labels]."""
    values = [math.nan if value is None else value for value in text["probabilities"]]
    return np.array([values], np.float32)


def decided(model: ModelFile, text: dict[str, Any], session: Any = None) -> dict[str, Any] | None:
    """What Python decides on a text, as the file has it. session: of the native engine."""
    rows, read = rows_of(text), bytes([STATUSES.index(text["read"])])
    unfamiliar = SHARE if model.abstention and model.abstention.unfamiliar else None
    policy = replace(Policy.of(model, unfamiliar=unfamiliar), top=len(model.labels))
    if session is None and text["read"] != STATUSES[ERROR] and not are_probabilities(rows):
        return None
    read = mark_unfamiliar(read, np.array([text["unfamiliarity"]]), policy.highest_score)
    try:
        decisions = decide(model, policy, rows.tobytes(), read, session)
    except ModelFileError:
        return None
    (prediction,) = decisions.predictions
    score = None
    if isinstance(prediction, ScorePrediction) and prediction.label is not None:
        score = [prediction.value, prediction.low, prediction.high]
    ranks = [
        [int(np.frombuffer(place, np.int32)[0]), number(np.frombuffer(chance, np.float32)[0])]
        for place, chance in decisions.ranks
    ]
    return {
        "label": prediction.label,
        "labels": list(prediction.labels),
        "probability": number(prediction.probability),
        "status": prediction.status,
        "ranks": ranks,
        "score": score,
    }


def number(value: float) -> float | None:
    """A number as JSON has it."""
    return None if math.isnan(value) else float(value)


def around(value: float) -> list[float]:
    """The float32 below a number, the nearest, and the one above."""
    nearest = np.float32(value)
    both = (np.nextafter(nearest, np.float32(side)) for side in (-9, 9))
    below, above = map(float, both)
    return [below, float(nearest), above]


def texts_of(kind: dict[str, Any]) -> list[dict[str, Any]]:
    """The texts of a case: what is near a border, what is equal, and some drawn by chance."""
    width = len(kind["labels"])
    rng = random.Random(7)
    rows: list[list[float | None]] = [[1 / width] * width, [1.0] * width]
    if "question" not in kind:
        rows.append([0.0] * width)  # a score divides by their sum
    for border in (0.3, 0.4, 0.5, 0.7, 1.01, 0.0):
        rest = [0.1] * (width - 2)
        for value in around(border):
            rows += [[value, *rest, around(border)[1]], [0.1, value, *rest]]
    for _ in range(12):
        parts = [rng.choice([0, 1, 1, 2, 5, 9]) + 1e-3 for _ in range(width)]
        rows.append([float(np.float32(part / sum(parts))) for part in parts])
    rows += [[None, *[0.5] * (width - 1)], [*[0.5] * (width - 1), None]]
    texts = [text(row) for row in rows]
    for row in ([0.8] + [0.1] * (width - 1), [0.3] * width):
        for read in STATUSES[:ERROR]:
            texts += [text(row, read, score) for score in (0.0, 0.3, math.nextafter(0.3, 1))]
    return [*texts, text([None] * width, STATUSES[ERROR])]


def text(row: list[float | None], read: str = "ok", unfamiliarity: float = 0.0) -> dict[str, Any]:
    """A text, with its probabilities as float32."""
    values = [None if value is None else float(np.float32(value)) for value in row]
    return {"probabilities": values, "read": read, "unfamiliarity": unfamiliarity}


def made(folder: Path) -> dict[str, Any]:
    """The cases with their answers. folder: for the model files."""
    cases = {}
    for name, kind in KINDS.items():
        model = loaded(file_of(kind), str(folder / "m.onnx")).model
        texts = [{**each, "answer": decided(model, each)} for each in texts_of(kind)]
        cases[name] = {**kind, "texts": texts}
    return cases


def written(cases: dict[str, Any]) -> str:
    """The text of the file: a line for each text."""
    lines = (
        json.dumps(cases).replace('"texts": [', '"texts": [\n').replace('}, {"prob', '},\n{"prob')
    )
    return lines.replace("]}, ", "]},\n\n") + "\n"


def cases() -> dict[str, Any]:
    """What the file says."""
    return dict(json.loads(PATH.read_text(encoding="utf-8")))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        PATH.write_text(written(made(Path(temporary))), encoding="utf-8")
