"""tools/sentiment: what the package's model learns from, the labels that are kept, and the script
itself."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile import tar_bytes
from safetensors.numpy import save_file

pytest.importorskip("edge_lstm_export")

sys.path.append(str(Path(__file__).parents[2] / "tools" / "sentiment"))
import labels
import make
from edge_lstm_export.checkpoint.checkpoint import load_checkpoint
from negation import negated_clauses
from sentences import labelled_sentences

FINE = ["a fine joy", "warm and funny", "great fun"]
DULL = ["a dull bore", "cold and flat", "no fun"]
SAID = {"pos": FINE, "neg": DULL}
OF = [
    "The plot is",
    "The acting was",
    "The music is",
    "It was",
    "The end is not",
    "The rest was never",
]
REVIEWS = {"train/pos": 40, "train/neg": 40, "train/unsup": 20, "test/pos": 10, "test/neg": 10}


def archive(path: Path) -> None:
    """As the Large Movie Review Dataset is packed: reviews of ten sentences, most of which say the
    label."""
    rng = random.Random(0)
    files = {}
    for folder, count in REVIEWS.items():
        for i in range(count):
            label = folder.partition("/")[2]
            label = label if label in SAID else rng.choice(sorted(SAID))
            said = [
                rng.choice(SAID[label] if n < 7 else SAID["pos"] + SAID["neg"]) for n in range(10)
            ]
            text = " ".join(
                f"{rng.choice(OF)} {what}, scene {rng.randrange(1000)}." for what in said
            )
            files[f"aclImdb/{folder}/{i}_{8 if label == 'pos' else 2}.txt"] = text.encode()
    path.write_bytes(tar_bytes(files))


TREES = "(4 (2 The) (4 (2 plot) (4 (3 (2 is) (2 n't)) (4 fine))))\n(1 (2 -LRB-) (1 Dull))\n\n"
COMMENTS = (
    'text,labels\n"Thanks, [NAME]!",gratitude|joy\nUgh.,anger\n'
    "Hm,anger|joy\nWow,surprise\nIt is,neutral\n"
)


def sentence_files(data: Path) -> None:
    """The labelled sentences that the recipes read from the folder of the archive."""
    (data / "trees").mkdir()
    (data / "sets" / "goemotions").mkdir(parents=True)
    (data / "trees" / "train.txt").write_text(TREES + "(0 (2 Left) (0 out))\n", "utf-8")
    (data / "trees" / "dev.txt").write_text("(0 (2 Left) (0 out))\n", "utf-8")
    (data / "sets" / "goemotions" / "train.csv").write_text(COMMENTS, "utf-8")


def test_labelled_sentences_are_read_as_people_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence_files(tmp_path)
    monkeypatch.setenv("EDGE_LSTM_DATA", str(tmp_path))
    phrases, comments = labelled_sentences(products=False)
    graded = dict.fromkeys(["The plot isn't fine", "plot isn't fine", "isn't fine", "fine"], 0.98)
    assert phrases == {**graded, "isn't": 0.9, "(Dull": 0.1, "Dull": 0.1}
    assert comments == {"Thanks, !": 0.9, "Ugh.": pytest.approx(0.1), "It is": 0.5}
    assert labelled_sentences(trees=False, products=False) == [comments]


def test_a_student_learns_from_the_kept_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path / "aclImdb_v1.tar.gz")
    monkeypatch.setenv("EDGE_LSTM_DATA", str(tmp_path))
    texts = labels.read_imdb()
    network = make.plan_of("small", texts.dataset).network
    kept = {}
    assert (network.embedding_dim, network.hidden, network.ngrams) == (
        14,
        30,
        0,
    ) and network.bidirectional
    for name, some in (("unlabelled", texts.unlabelled), ("spans", texts.spans)):
        fine = [[any(said in text for said in FINE)] for text in some]
        kept[name] = np.where(fine, 60_000, 5_000).astype(np.uint16)
    save_file(kept, tmp_path / "labels.safetensors", {"edge_lstm_soft_labels": texts.digest})
    monkeypatch.setattr(make, "KEPT", tmp_path / "labels.safetensors")
    monkeypatch.setitem(make.RECIPES, "tiny", make.Recipe(100, 400, 14, 0.05, 2, sentences=True))
    sentence_files(tmp_path)

    def made(recipe: str, *more: str) -> None:
        monkeypatch.setattr(
            sys, "argv", ["make.py", recipe, "-o", str(tmp_path / "a.safetensors"), *more]
        )
        make.main()

    with pytest.raises(FileNotFoundError, match="sorted_data_acl"):  # base alone asks for products
        made("base")
    made("tiny", "--no-treebank")
    measured = load_checkpoint(tmp_path / "a.safetensors").training
    negated, _ = negated_clauses(texts.spans, labels.load_labels(make.KEPT, texts)[1])
    learnt = len([*texts.unlabelled, *texts.spans, *negated]) + 3  # comments
    assert measured["test"]["accuracy"] > 0.7 and measured["data"]["unlabelled_texts"] == learnt
