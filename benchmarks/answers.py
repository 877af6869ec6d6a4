"""What a peer answers: accuracy, the same answer in every batch or not, the seed network's answer or not.

None of it depends on how busy the machine is, so it is kept in the cache, under a key of everything that it
does depend on, and a later run for the times takes it from there.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import conditions, seed
from benchmarks.children import Child
from benchmarks.entrants import Entrant

Json = dict[str, Any]
Probabilities = NDArray[np.float32]
BATCHES = (8, 16)
_PARITY = 1e-5  # how far an fp32 peer may be from the seed network's probabilities
_PARITY_TEXTS = 64
_SAME_ANSWER_TEXTS = 960


def answers(entrant: Entrant, sample: Path, limit: int) -> Json:
    """{"same_answer": by batch size, "accuracy": …, and for fp32 peers "parity"}; raises PeerError.

    sample: the texts that are answered alone and in batches; limit: texts of the split for the accuracy.
    """
    kept = entrant.place.cache / "answers" / f"{_key(entrant, sample, limit)}.json"
    if kept.exists():
        found: Json = json.loads(kept.read_text(encoding="utf-8"))
        return found
    found = _ask(entrant, sample, min(limit, entrant.contender.accuracy_texts or limit))
    kept.parent.mkdir(exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(found) + "\n", encoding="utf-8")
    partial.replace(kept)
    return found


def _key(entrant: Entrant, sample: Path, limit: int) -> str:
    contender = entrant.contender
    facts = {
        "files": [hashlib.sha256(path.read_bytes()).hexdigest() for path in entrant.model_files()],
        "installed": entrant.environment.versions(),
        "runner": [contender.runner, contender.options, contender.accuracy_texts, entrant.place.threads],
        "texts": [entrant.place.texts.joinpath("source.json").read_text(encoding="utf-8"), limit],
        "sample": sample.name,
        "withheld": conditions.now()["withheld"],
        "weights": hashlib.sha256(entrant.place.weights.read_bytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _ask(entrant: Entrant, sample: Path, limit: int) -> Json:
    texts = entrant.place.texts
    labels = np.load(texts / "labels.npy")[:limit]
    count = len(np.load(sample / "labels.npy", mmap_mode="r"))
    shuffled = random.Random(11).sample(range(count), min(count, _SAME_ANSWER_TEXTS))
    with entrant.start(sample) as child:
        found: Json = {"same_answer": same_answer(child, shuffled, sample)}
    with entrant.start(texts) as child:
        answer = probabilities(child, list(range(len(labels))), 1, sample)
    found["accuracy"] = accuracy(answer, labels)
    if entrant.contender.exact:
        ids = np.load(texts / "left.npy", mmap_mode="r")[: min(limit, _PARITY_TEXTS)]
        reference = seed.probabilities(seed.load(entrant.place.weights), ids)
        difference = float(np.abs(answer[: len(reference)] - reference).max())
        found["parity"] = {"largest_difference": difference, "holds": difference <= _PARITY}
    return found


def probabilities(child: Child, rows: list[int], batch: int, folder: Path) -> Probabilities:
    """float32 [rows], answered in batches of `batch` in the order given."""
    output = folder / "answer.npy"
    child.ask(cmd="probabilities", batch=batch, rows=rows, output=str(output))
    answer: Probabilities = np.load(output)
    output.unlink()
    return answer


def accuracy(answer: Probabilities, labels: NDArray[np.int32]) -> Json:
    """Share of right labels at 0.5 with the half-width of its 95 % interval."""
    right = float(((answer >= 0.5) == (labels == 1)).mean())
    half_width = 1.96 * (right * (1 - right) / len(labels)) ** 0.5
    return {"texts": len(labels), "accuracy": right, "plus_minus": half_width}


def same_answer(child: Child, rows: list[int], folder: Path) -> Json:
    """The same texts alone and in batches: the largest difference of a probability, and labels that flip."""
    alone = probabilities(child, rows, 1, folder)
    found: Json = {}
    for size in BATCHES:
        whole = rows[: len(rows) // size * size]  # some tools take no other number of rows than the file's
        if not whole:
            continue
        batched, reference = probabilities(child, whole, size, folder), alone[: len(whole)]
        found[str(size)] = {
            "texts": len(batched),
            "differ": int((batched != reference).sum()),
            "largest_difference": float(np.abs(batched - reference).max()),
            "labels_flipped": int(((batched >= 0.5) != (reference >= 0.5)).sum()),
        }
    return found
