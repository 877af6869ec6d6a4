"""Every port against ONNX Runtime, over IMDB's 25,000 test reviews and 2,000 texts in other scripts.

    EDGE_LSTM_DATA=FOLDER python -m benchmarks.ports_answers [--model base] [--reference 1000]

Prints a table for docs/ports.md: the largest difference of a probability, and the labels that differ. Needs
gcc and node; EDGE_LSTM_DATA names the folder of the IMDB archive. A port that is over 0.001 off, or gives
another label where the probability is further than that from the border, ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.ports import MODULE, PORTS, PROJECT, compile_c, model_files
from benchmarks.sets import imdb
from edge_lstm import Classifier

TOLERANCE = 1e-3
# First and last letters of scripts, and what is odd about letters and the space between them.
SCRIPTS = (
    "Ͱ-Ͽ Ѐ-ӿ Ա-ֆ א-ת ؠ-ي ऄ-ह ก-ฮ Ⴀ-ჿ "
    "Ꭰ-Ᏽ Ḁ-῿ Ⰰ-ⴭ ぁ-ヿ 一-龥 Ꙁ-Ɪ 가-힣 𐐀-𐑏 𑢠-𑣟 𞤀-𞥃 🌀-🙏 ‐-⁀ \x80-ɏ \ud800-\udfff"
)
ODD = ("İ", "ı", "ẞ", "Σ", "ΟΔΟΣ", "ΣΑΣ", "K", "Å", "Ǆ", *"\r\t'.:\xad\x00\ufeff\u0300\u036f")
Answers = npt.NDArray[np.float64]  # [texts, labels]


def other_scripts(count: int, words: Sequence[str]) -> list[str]:
    """Return texts of letters from many scripts, with sigmas, dotted I, emoji, lone surrogates and known
    words."""
    rng = random.Random(17)
    texts = []
    for _ in range(count):
        low, high = map(ord, rng.choice(SCRIPTS.split()).split("-"))
        parts = []
        for _ in range(rng.randrange(1, 40)):
            kind = rng.random()
            if kind < 0.4:
                parts.append(rng.choice([str, str.upper, str.title])(rng.choice(words)))
            elif kind < 0.5:
                parts.append(rng.choice(ODD))
            else:
                parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randrange(1, 8))))
        texts.append(rng.choice(["", " ", "\u00a0"]).join(parts).replace("\n", " "))
    return texts


def from_c(program: Path, model: Path, texts: Sequence[str]) -> Answers:
    """Return the C engine's answers, over standard input."""
    lines = b"".join(text.encode("utf-8", "surrogatepass") + b"\n" for text in texts)
    out = subprocess.run([program, "--all", model], input=lines, capture_output=True, check=True).stdout
    return np.array([line.split("\t")[3:] for line in out.decode().split("\n")[:-1]], dtype=np.float64)


def from_javascript(model: Path, texts: Sequence[str]) -> Answers:
    """Return the JavaScript port's answers, in Node."""
    request = json.dumps({"module": str(MODULE), "models": [{"path": str(model), "texts": texts}]})
    command = ["node", str(PROJECT / "tests" / "ports" / "answers.mjs")]
    out = subprocess.run(command, input=request, capture_output=True, text=True, check=True).stdout
    return np.array([answer["probabilities"] for answer in json.loads(out)["answers"]])


def from_reference(model: Path, texts: Sequence[str]) -> Answers:
    """Return the reference's answers: some 100 µs per token."""
    sys.path.insert(0, str(PORTS))
    import reference

    opened = reference.read(model.read_bytes())
    return np.array([reference.probabilities(opened, reference.encode(opened, text)[0]) for text in texts])


def compare(name: str, expected: Answers, answers: Answers) -> bool:
    """Print a row of the table; return whether the port holds the promise."""
    apart = np.abs(expected - answers).max(axis=1)
    flipped = expected.argmax(axis=1) != answers.argmax(axis=1)
    top = np.sort(expected, axis=1)
    border = (top[:, -1] - top[:, -2])[flipped] / 2  # how far the probabilities are from being equal
    far = f", at most {border.max():.0e} from the border" if flipped.any() else ""
    figures = f"{len(answers):,} | {apart.max():.1e} | {apart.mean():.1e} | {flipped.sum()}{far}"
    print(f"| {name} | {figures} |", flush=True)
    return bool(apart.max() <= TOLERANCE and (border <= TOLERANCE).all())


def main() -> None:
    """Print the table for one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="base", help="tiny, small, base or a file")
    parser.add_argument("--reference", type=int, default=1000, help="texts for the reference, at random")
    parser.add_argument("--texts", type=int, default=25_000, help="reviews, at random")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rng = random.Random(0)
    dataset = imdb()
    assert dataset.test is not None
    reviews = [" ".join(text.splitlines()) for text in dataset.test.texts]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        model = model_files(folder).get(asked.model) or Path(asked.model)
        classifier = Classifier.load(model)
        words = classifier.model.tokenizer.words
        texts = [*rng.sample(reviews, min(asked.texts, len(reviews))), *other_scripts(2000, words)]
        # Ids with the start: just not, just, and more than what is read.
        texts += [" ".join(rng.choices(words[:500], k=length - 1)) for length in (599, 600, 601)]
        texts += ["", " ", "Qwxyzzy!"]
        print(f"{model.name}, {classifier.model.precision}\n")
        print("| port | texts | largest \\|Δp\\| | mean | labels that differ |\n|---|---:|---:|---:|---|")
        expected = classifier.probabilities(texts).astype(np.float64)
        # Bytes that are no UTF-8 are U+FFFD to C, as they are to predict.
        as_bytes = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
        of_bytes = classifier.probabilities(as_bytes).astype(np.float64)
        right = True
        right &= compare("C", of_bytes, from_c(compile_c(folder), model, texts))
        right &= compare("JavaScript, Node", expected, from_javascript(model, texts))
        chosen = sorted(rng.sample(range(len(texts)), min(asked.reference, len(texts))))
        answers = from_reference(model, [texts[i] for i in chosen])
        right &= compare("reference", expected[chosen], answers)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
