"""Words of an encoder: the nearest come into the vocabulary, and what they mean into the vectors."""

from __future__ import annotations

import numpy as np
import pytest
from edge_lstm_export.examples import Examples
from edge_lstm_export.ngram_features import choose_ngrams, learn_features
from edge_lstm_export.soft_ngrams import fit_soft

from edge_lstm.text import FIRST_WORD_ID, OOV_ID, Tokenizer

pytest.importorskip("transformers")

from edge_lstm_export.pretrained import PretrainedWords
from edge_lstm_export.teacher.encoder_words import words_of
from edge_lstm_export.teacher.hub import load_encoder
from transformers_made import make_transformer

SEA, SHOP = ("wave", "harbour", "tide", "shore"), ("basket", "till", "receipt", "queue")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> PretrainedWords:
    """Of two kinds, each near the others of its kind."""
    encoder = load_encoder(
        str(make_transformer(tmp_path_factory.mktemp("encoder"), [*SEA, *SHOP, "x", "7", "o'clock"])), 2
    )
    found = words_of(encoder)
    assert found is not None
    rng = np.random.default_rng(0)
    table = rng.normal(size=found.table.shape).astype(np.float32) * 0.1
    for kind, side in ((SEA, 1.0), (SHOP, -1.0)):
        for word in kind:
            table[found.pieces[found.words.index(word)], 0] += side
    return PretrainedWords(found.words, table, found.pieces, found.read)


def test_words_are_of_letters_and_known_as_one_piece(words: PretrainedWords) -> None:
    assert set(words.words) == {*SEA, *SHOP}


def test_an_encoder_without_a_table_of_pieces_has_no_words() -> None:
    class Characters:
        tokenizer = None

        class encoder:  # noqa: N801
            @staticmethod
            def get_input_embeddings() -> None:
                raise NotImplementedError

    assert words_of(Characters()) is None  # type: ignore[arg-type]


def test_the_nearest_of_other_words_come_first(words: PretrainedWords) -> None:
    assert set(words.near(["wave", "nobody knows"], ["wave"], 3)) == {*SEA[1:]}
    assert words.near(["nobody"], [], 3) == ()
    assert words.near(["wave"], [], 0) == ()


def test_beside_a_word_are_the_near_ones_but_not_itself(words: PretrainedWords) -> None:
    found = words.beside(["wave", "nobody", "queue"])
    assert {word: set(near) for word, near in found.items()} == {
        "wave": {*SEA[1:]},
        "nobody": set(),
        "queue": {*SHOP[:-1]},
    }
    assert words.beside([]) == {}


def test_an_unknown_word_means_nothing(words: PretrainedWords) -> None:
    sea, unknown = words.meanings(["tide", "nobody"])
    assert np.linalg.norm(sea) == pytest.approx(1)
    assert not unknown.any()


@pytest.mark.parametrize("labels", [2, 3])
def test_a_word_of_no_text_says_what_its_neighbours_say(words: PretrainedWords, labels: int) -> None:
    known = ("wave", "harbour", "tide", "basket", "till", "receipt", "shore", "queue")
    tokenizer = Tokenizer(known, 20, OOV_ID, ("a", "b"))
    texts = ["wave harbour", "tide wave", "harbour", "basket till", "receipt till", "basket"] * 4
    targets = np.tile([0.1, 0.9, 0.0][:labels], (len(texts), 1)).astype(np.float32)
    targets[[i for i, text in enumerate(texts) if set(text.split()) & {*SEA}], :2] = 0.9, 0.1
    examples = Examples.from_texts(tokenizer, texts, targets)
    ngrams = choose_ngrams(examples, 100, tokenizer.num_ids)
    features = learn_features(ngrams, tokenizer)
    meanings = np.zeros((len(ngrams), 8), np.float32)
    of_words = words.meanings(known)[:, :8]
    first = int(np.flatnonzero(ngrams[:, 0] == FIRST_WORD_ID)[0])
    meanings[first : first + len(known)] = of_words
    others = Examples.from_texts(tokenizer, ["shore", "queue"], targets[:2])
    taught = fit_soft(examples, features, meanings).logits(features.held(others), others.lengths)
    answers = (taught[:, 0] > 0).astype(int) if labels == 2 else taught.argmax(axis=1)
    assert answers.tolist() == [0, 1]


def test_in_a_language_that_it_does_not_know_an_encoder_has_no_words(words: PretrainedWords) -> None:
    assert words.share_of(["Wave, tide: x 7", "till unknown 12"]) == 3 / 4
    assert words.share_of(["外卖很好吃", "7 x"]) == 0
    assert words.share_of([]) == 0
