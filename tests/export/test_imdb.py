"""The real reviews: Keras's ids from our reading."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from edge_lstm_export.options import DataOptions, TextOptions, VocabularyOptions
from edge_lstm_export.train.data import Dataset
from edge_lstm_export.train.sources.read import read_dataset
from edge_lstm_export.train.vocabulary import build_vocabulary, count_words

from edge_lstm.text import KERAS_FILTERS, Tokenizer, split_words

pytestmark = pytest.mark.imdb


@pytest.fixture(scope="module")
def imdb(data_folder: Path) -> Dataset:
    return read_dataset([str(data_folder / "aclImdb_v1.tar.gz")], DataOptions(unlabelled=True))


@pytest.fixture(scope="module")
def keras_words(data_folder: Path) -> list[str]:
    """In the order of Keras's word index."""
    path = data_folder / "imdb_word_index.json"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    index = json.loads(path.read_text(encoding="utf-8"))
    return sorted(index, key=index.__getitem__)


def test_the_splits_are_those_of_the_paper(imdb: Dataset) -> None:
    assert imdb.labels == ("neg", "pos") and imdb.test is not None
    assert imdb.train.counts() == imdb.test.counts() == [12_500, 12_500]
    assert len(imdb.unlabelled) == 50_000


def test_a_known_review_has_kerass_ids(data_folder: Path, keras_words: list[str]) -> None:
    example = json.loads((data_folder / "seed_example.json").read_text())
    tokenizer = Tokenizer(tuple(keras_words[: example["num_words"] - 4]))
    name = "aclImdb/train/neg/10654_1.txt"
    with tarfile.open(data_folder / "aclImdb_v1.tar.gz", "r|gz") as tar:
        file = next(tar.extractfile(member) for member in tar if member.name == name)
        assert file is not None
        assert tokenizer.encode_text(file.read().decode()).ids == example["ids"]


def test_our_words_are_kerass_but_for_two_capital_letters(
    imdb: Dataset, keras_words: list[str]
) -> None:
    """Keras counted bytes, lower-casing ASCII only. Our rule lower-cases all of Unicode: 21 of its
    words have a capital letter outside ASCII, two of which become a word that is there already."""
    to_space = bytes.maketrans(KERAS_FILTERS.encode(), b" " * len(KERAS_FILTERS))
    by_bytes: Counter[str] = Counter()
    for text in imdb.train.texts:
        by_bytes.update(
            p.decode() for p in text.encode().lower().translate(to_space).split(b" ") if p
        )
    assert set(by_bytes) == set(keras_words) and len(by_bytes) == 88_584
    ours = count_words(imdb.train.texts)
    assert len(ours) == 88_582
    changed = {word for word in keras_words if split_words(word) != [word]}
    merged = {word for word in changed if split_words(word)[0] in by_bytes}
    assert len(changed) == 21 and merged == {"À", "amÉlie"}
    assert all(ours[word.lower()] == by_bytes[word.lower()] + by_bytes[word] for word in merged)
    # Our ids are Keras's up to the order of ties.
    rule = TextOptions("keras")
    options = VocabularyOptions()
    vocabulary = build_vocabulary(imdb.train.texts, (), rule, options, 5000)
    first = [ours[word] for word in vocabulary.words]
    assert first == [ours[word] for word in keras_words[: 5000 - 4]]
