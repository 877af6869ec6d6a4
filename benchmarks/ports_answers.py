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
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.ports import PROJECT, compile_c, model_files, reference_module
from edge_lstm import Classifier

TOLERANCE = 1e-3
Answers = npt.NDArray[np.float64]  # [texts, labels]


def other_scripts(count: int, words: tuple[str, ...]) -> list[str]:
    """Texts of letters from many scripts, with sigmas, dotted I, emoji, lone surrogates and known words."""
    ranges = [
        (0x370, 0x3FF), (0x400, 0x4FF), (0x531, 0x586), (0x5D0, 0x5EA), (0x620, 0x64A), (0x904, 0x939),
        (0xE01, 0xE2E), (0x10A0, 0x10FF), (0x13A0, 0x13F5), (0x1E00, 0x1FFF), (0x2C00, 0x2D2F),
        (0x3041, 0x30FF), (0x4E00, 0x9FFF), (0xA640, 0xA7CA), (0xAC00, 0xD7A3), (0x10400, 0x1044F),
        (0x118A0, 0x118DF), (0x1E900, 0x1E943), (0x1F300, 0x1F64F), (0x300, 0x36F), (0x2010, 0x2040),
        (0x80, 0x24F), (0xD800, 0xDFFF),
    ]  # fmt: skip
    odd = [
        "İ",
        "ı",
        "ẞ",
        "Σ",
        "ΟΔΟΣ",
        "ΣΑΣ",
        "K",
        "Å",
        "Ǆ",
        "\r",
        "\t",
        "'",
        ".",
        ":",
        "\xad",
        "\x00",
        "\ufeff",
    ]
    rng = random.Random(17)
    texts = []
    for _ in range(count):
        low, high = rng.choice(ranges)
        pieces = []
        for _ in range(rng.randrange(1, 40)):
            kind = rng.random()
            if kind < 0.4:
                pieces.append(rng.choice([str, str.upper, str.title])(rng.choice(words)))
            elif kind < 0.5:
                pieces.append(rng.choice(odd))
            else:
                pieces.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randrange(1, 8))))
        texts.append(rng.choice(["", " ", " "]).join(pieces).replace("\n", " "))
    return texts


def imdb_reviews() -> list[str]:
    """The 25,000 test reviews, each on one line."""
    from edge_lstm_export.datasets import DataOptions, read_dataset

    dataset = read_dataset("imdb", DataOptions())
    assert dataset.test is not None
    return [" ".join(text.splitlines()) for text in dataset.test.texts]


def from_c(program: Path, model: Path, texts: list[str]) -> Answers:
    """The C port's answers, over standard input."""
    told = b"".join(text.encode("utf-8", "surrogatepass") + b"\n" for text in texts)
    out = subprocess.run([program, "--all", model], input=told, capture_output=True, check=True).stdout
    rows = [line.split("\t")[3:] for line in out.decode().split("\n")[:-1]]
    return np.array(rows, dtype=np.float64)


def from_javascript(model: Path, texts: list[str]) -> Answers:
    """The JavaScript port's answers, in Node."""
    module = str(PROJECT / "ports" / "js" / "edge-lstm.mjs")
    request = json.dumps({"module": module, "models": [{"path": str(model), "texts": texts}]})
    script = PROJECT / "tests" / "ports" / "answers.mjs"
    node = shutil.which("node") or "node"
    out = subprocess.run([node, script], input=request, capture_output=True, text=True, check=True).stdout
    return np.array([answer["probabilities"] for answer in json.loads(out)["answers"]])


def from_reference(model: Path, texts: list[str]) -> Answers:
    """The reference's answers: some 100 µs a token."""
    reference = reference_module()
    opened = reference.read(model.read_bytes())
    return np.array([reference.probabilities(opened, reference.encode(opened, text)[0]) for text in texts])


def compare(name: str, expected: Answers, answers: Answers) -> bool:
    """Prints a row of the table → whether the port holds the promise."""
    apart = np.abs(expected - answers).max(axis=1)
    flipped = expected.argmax(axis=1) != answers.argmax(axis=1)
    top = np.sort(expected, axis=1)
    border = (top[:, -1] - top[:, -2])[flipped] / 2  # how far the probabilities are from being equal
    right = bool(apart.max() <= TOLERANCE and (border <= TOLERANCE).all())
    labels = f"{int(flipped.sum())}" + (
        f", at most {border.max():.0e} from the border" if flipped.any() else ""
    )
    print(f"| {name} | {len(answers):,} | {apart.max():.1e} | {apart.mean():.1e} | {labels} |", flush=True)
    return right


def main() -> None:
    """The table for one model."""
    parser = argparse.ArgumentParser(description="Every port against ONNX Runtime.")
    parser.add_argument("--model", default="base", help="tiny, small, base or a file")
    parser.add_argument(
        "--reference", type=int, default=1000, help="texts for the reference, chosen at random"
    )
    parser.add_argument("--texts", type=int, default=25_000, help="reviews, chosen at random")
    options = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        models = model_files(folder)
        model = models.get(options.model) or Path(options.model)
        classifier = Classifier.load(model)
        reviews = imdb_reviews()
        texts = rng.sample(reviews, min(options.texts, len(reviews)))
        texts += other_scripts(2000, classifier.model.tokenizer.words)
        for length in (599, 600, 601):  # ids with the start: just not, just, and longer than what is read
            texts.append(" ".join(rng.choices(classifier.model.tokenizer.words[:500], k=length - 1)))
        texts += ["", " ", "Qwxyzzy!"]
        print(f"{model.name}, {classifier.model.precision}\n", flush=True)
        print(
            "| port | texts | largest \\|Δp\\| | mean | labels that differ |\n|---|---|---|---|---|",
            flush=True,
        )
        expected = classifier.probabilities(texts).astype(np.float64)
        # Bytes that are no UTF-8 are U+FFFD to C, as they are to predict.
        as_bytes = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
        c_expected = classifier.probabilities(as_bytes).astype(np.float64)
        right = True
        for name, flags in (("C, x86-64", []), ("C, native", ["-march=native"])):
            right &= compare(name, c_expected, from_c(compile_c(folder, "gcc", *flags), model, texts))
        right &= compare("JavaScript, Node", expected, from_javascript(model, texts))
        chosen = sorted(rng.sample(range(len(texts)), min(options.reference, len(texts))))
        answers = from_reference(model, [texts[i] for i in chosen])
        right &= compare("reference", expected[chosen], answers)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
