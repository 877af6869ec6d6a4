"""tools/sentiment: what the package's model learns from, the labels that are kept, and the script
itself."""

from __future__ import annotations

import hashlib
import json
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
from edge_lstm_export.train.checkpoint import load_checkpoint
from negation import negated_clauses
from sentences import PRODUCTS, labelled_products, labelled_sentences, product_texts
from spans import NEGATIONS, random_spans, sentences, spans_around

from edge_lstm.errors import DataError


def test_sentences_and_spans_are_parts_of_their_texts_and_negated_clauses_are_turned() -> None:
    text = 'It ran late. "Too late!" he said.<br /><br />Why? 不错。很好！'
    assert sentences(text) == ["It ran late.", '"Too late!', "he said.", "Why?", "不错。", "很好！"]
    texts = [" ".join(f"Sentence {i} of {j}." for i in range(6)) for j in range(20)]
    spans = random_spans(texts, 2, seed=3)
    assert len(spans) == len(set(spans)) >= 20
    assert all(any(span in text for text in texts) for span in spans)
    assert spans == random_spans(texts, 2, seed=3) != random_spans(texts, 2, seed=4)
    assert random_spans(["One sentence only."], 5, seed=0) == []
    around = spans_around(
        ["I have never seen it. It isn't bad at all, and not dull."] * 2, NEGATIONS, 0
    )
    assert around and all(any(word in span for word in ("never", "n't", "not")) for span in around)
    texts, turned = negated_clauses(
        ["The plot is dull", "So-so"], np.array([[0.9, 0.1], [0.6, 0.4]])
    )
    assert texts and not any("So-so" in text for text in texts), "the teacher is not sure of it"
    assert (turned.argmax(axis=1) == 1).all() and 0.5 < turned.max() < 0.9


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


def test_products_are_learnt_from_by_the_kept_labels_of_just_these_texts(tmp_path: Path) -> None:
    review = "<title>\nSo {0}\n</title>\n<review_text>\nIt is\n{0}.  Buy it!\n</review_text>\n"
    for name in PRODUCTS:
        (tmp_path / name).mkdir()
        for stars in ("negative", "positive"):
            (tmp_path / name / f"{stars}.review").write_text(review.format(stars), "utf-8")
    texts = product_texts(tmp_path)
    assert texts == ["So negative", "It is", "negative.", "Buy it!", "So positive", "positive."]
    kept = tmp_path / "kept.safetensors"
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    numbers = {"labels": np.array([254, 127, 0, 255, 127, 0], np.uint8)}
    save_file(numbers, kept, {labels.KEY: digest})
    found = labelled_products(tmp_path, kept)
    assert found == {
        "So negative": 1,
        "It is": 0.5,
        "negative.": 0,
        "So positive": 0.5,
        "positive.": 0,
    }
    (tmp_path / "dvd" / "positive.review").write_text(review.format("new"), "utf-8")
    with pytest.raises(DataError, match="labels of other texts than these data"):
        labelled_products(tmp_path, kept)


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
