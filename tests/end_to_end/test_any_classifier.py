"""benchmarks.any_classifier: a whole run with a transformer of two layers, on texts of telling words."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("edge_lstm_export")
pytest.importorskip("transformers")

from benchmarks import any_classifier

WORDS = {"billing": ("invoice", "refund"), "delivery": ("parcel", "courier")}
FILLERS = [f"filler{i}" for i in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder, and a set with train.csv and test.csv."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
    from transformers_made import make_transformer

    folder = tmp_path_factory.mktemp("classifier")
    make_transformer(folder / "encoder", [*FILLERS, *(word for pair in WORDS.values() for word in pair)])
    rng = random.Random(0)
    (folder / "tickets").mkdir()
    for name, count in (("train", 160), ("test", 40)):
        lines = ["text,label"]
        for i in range(count):
            label = sorted(WORDS)[i % 2]
            lines.append(f"{' '.join(rng.sample(FILLERS, 3))} {rng.choice(WORDS[label])},{label}")
        (folder / "tickets" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def run(folder: Path, *options: str) -> list[str]:
    """The lines that it prints."""
    with pytest.MonkeyPatch.context() as patch:
        # Random weights need more than a pretrained encoder does.
        patch.setattr(any_classifier, "PASSES", 12)
        patch.setattr(any_classifier, "RATE", 3e-3)
        given = [str(folder), "--encoder", str(folder / "encoder"), "--sets", "tickets", *options]
        patch.setattr(sys, "argv", ["any_classifier", *given])
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *values, **_: printed.extend(map(str, values)))
        any_classifier.main()
    return printed


@pytest.mark.slow  # a transformer and a network are trained
def test_the_small_file_is_compared_with_a_classifier_that_saw_labels(folder: Path, tmp_path: Path) -> None:
    further = tmp_path / "log.txt"
    further.write_text("one more line with an invoice\n")
    keep = tmp_path / "kept"
    header, _, row = run(folder, "--keep", str(keep), "--log", str(further))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == header.count("|") - 1 == 7
    assert cells[:2] == ["tickets", "2"]
    same, teacher, ours = (float(cell.rstrip("%")) for cell in cells[2:5])
    assert teacher > 90 and same > 90
    assert ours >= same + teacher - 100  # both right where they agree
    assert re.fullmatch(r"\d+", cells[5]) and re.fullmatch(r"\d+ s", cells[6])
    # What the small file learnt from is without labels, and the log is in it.
    texts = (keep / "tickets" / "texts.txt").read_text().splitlines()
    assert len(texts) == 161 and texts[-1] == "one more line with an invoice"
    assert not any(label in text for text in texts for label in WORDS)
    # What is there is taken: nothing is trained again.
    before = {path: path.stat().st_mtime_ns for path in (keep / "tickets").rglob("*.safetensors")}
    assert len(before) >= 2
    again = run(folder, "--keep", str(keep), "--log", str(further))
    assert again[2].split("|")[1:6] == row.split("|")[1:6]
    assert before == {path: path.stat().st_mtime_ns for path in (keep / "tickets").rglob("*.safetensors")}
