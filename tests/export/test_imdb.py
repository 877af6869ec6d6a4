"""The real reviews: Keras's ids from our reading, and how long reading takes."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from edge_lstm_export.datasets import DataOptions, Dataset, read_dataset
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.distillation import KEPT, Distillation, teach
from edge_lstm_export.fit import VocabularyOptions, prepare
from edge_lstm_export.vocabulary import adopted, count_words, most_frequent, read_word_index

from edge_lstm.text import KERAS_FILTERS, Tokenizer, split_words

pytestmark = pytest.mark.imdb


@pytest.fixture(scope="module")
def imdb(data_folder: Path) -> Dataset:
    return read_dataset("imdb", DataOptions(data_dir=data_folder, unlabelled=True))


@pytest.fixture(scope="module")
def word_index(data_folder: Path) -> tuple[str, ...]:
    path = data_folder / "imdb_word_index.json"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    return read_word_index(path)


def test_the_splits_are_those_of_the_paper(imdb: Dataset) -> None:
    assert imdb.labels == ("neg", "pos")
    assert imdb.test is not None
    assert imdb.train.counts(2) == imdb.test.counts(2) == [12_500, 12_500]
    assert len(imdb.unlabelled) == 50_000


def test_a_known_review_has_kerass_ids(data_folder: Path, word_index: tuple[str, ...]) -> None:
    example = json.loads((data_folder / "seed_example.json").read_text())
    tokenizer = Tokenizer(adopted(word_index, example["num_words"]))
    wanted = "aclImdb/train/neg/10654_1.txt"
    with tarfile.open(data_folder / "aclImdb_v1.tar.gz", "r|gz") as tar:
        file = next(tar.extractfile(member) for member in tar if member.name == wanted)
        assert file is not None
        text = file.read().decode()
    ids = tokenizer.encode_text(text).ids
    assert len(ids) == 189
    assert ids == example["ids"]


def test_our_words_are_kerass_but_for_two_capital_letters(imdb: Dataset, word_index: tuple[str, ...]) -> None:
    """Keras counted bytes, lower-casing ASCII only, and found 88,584 words. Our rule lower-cases all of
    Unicode: 21 of its words have a capital letter outside ASCII, two of which become a word that is
    there already.
    """
    to_space = bytes.maketrans(KERAS_FILTERS.encode(), b" " * len(KERAS_FILTERS))
    by_bytes: Counter[str] = Counter()
    for text in imdb.train.texts:
        by_bytes.update(p.decode() for p in text.encode().lower().translate(to_space).split(b" ") if p)
    assert len(by_bytes) == 88_584
    assert set(by_bytes) == set(word_index)

    ours = count_words(imdb.train.texts)
    assert len(ours) == 88_582
    changed = {word for word in word_index if split_words(word) != [word]}
    assert len(changed) == 21
    merged = {word for word in changed if split_words(word)[0] in by_bytes}
    assert merged == {"À", "amÉlie"}
    for word in merged:
        assert ours[word.lower()] == by_bytes[word.lower()] + by_bytes[word]


def test_own_ids_are_kerass_up_to_the_order_of_ties(imdb: Dataset, word_index: tuple[str, ...]) -> None:
    counts = count_words(imdb.train.texts)
    ours = most_frequent(counts, 5000)
    kerass = adopted(word_index, 5000)
    assert [counts[word] for word in ours] == [counts[word] for word in kerass]


def test_the_kept_labels_of_teachers_are_those_of_these_reviews(imdb: Dataset) -> None:
    folder = Path(__file__).parents[2] / "export" / "labels"
    kept = folder / "imdb.safetensors"
    assert file_digest(kept) in (folder / "README.md").read_text(encoding="utf-8")
    prepared = prepare(imdb, VocabularyOptions(), validation_share=0.04)
    taught = teach(prepared, imdb.unlabelled, Distillation(KEPT, "imdb", kept), lambda line: None)
    assert taught.judged is not None
    assert taught.provenance["spans"] + len(taught.judged) == 407_678
    right = taught.soft[: len(prepared.train)].argmax(axis=1) == prepared.train.labels
    assert right.mean() > 0.93
