"""The real reviews: Keras's ids from our reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edge_lstm_export.options import TextOptions
from edge_lstm_export.train.data.vocabulary import build_vocabulary, count_words
from edge_lstm_export.train.sources.dataset import Dataset
from made import read

from edge_lstm.core.text import Tokenizer, split_words

pytestmark = pytest.mark.imdb


@pytest.fixture(scope="module")
def imdb(data_folder: Path) -> Dataset:
    return read(data_folder / "aclImdb_v1.tar.gz")


@pytest.fixture(scope="module")
def keras_words(data_folder: Path) -> list[str]:
    """In the order of Keras's word index."""
    path = data_folder / "imdb_word_index.json"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    index = json.loads(path.read_text(encoding="utf-8"))
    return sorted(index, key=index.__getitem__)


def test_the_splits_are_those_of_the_paper(imdb: Dataset, data_folder: Path) -> None:
    assert imdb.labels == ("neg", "pos") and imdb.test is not None
    assert imdb.train.counts() == imdb.test.counts() == [12_500, 12_500]


def test_a_known_review_has_kerass_ids(
    data_folder: Path, imdb: Dataset, keras_words: list[str]
) -> None:
    example = json.loads((data_folder / "seed_example.json").read_text())
    tokenizer = Tokenizer(tuple(keras_words[: example["num_words"] - 4]))
    assert any(tokenizer.encode_text(text).ids == example["ids"] for text in imdb.train.texts)


def test_our_words_are_kerass_but_for_two_capital_letters(
    imdb: Dataset, keras_words: list[str]
) -> None:
    """Keras counted bytes, lower-casing ASCII only. Our rule lower-cases all of Unicode: 21 of its
    words have a capital letter outside ASCII, two of which become a word that is there already."""
    ours = count_words(imdb.train.texts)
    assert len(keras_words) == 88_584 and len(ours) == 88_582
    changed = {word for word in keras_words if split_words(word) != [word]}
    merged = {word for word in changed if word.lower() in keras_words}
    assert len(changed) == 21 and merged == {"À", "amÉlie"}
    assert ours.keys() == {word.lower() for word in keras_words}
    # Our ids are Keras's up to the order of ties.
    vocabulary = build_vocabulary(imdb.train.texts, (), TextOptions("keras"), 5000)
    first = [ours[word] for word in vocabulary.words]
    assert first == [ours[word] for word in keras_words[: 5000 - 4]]
