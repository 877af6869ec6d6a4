"""Text → ids by both text rules: as the specification says, for any text, and of long ones the
last."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specification import reference, specification

from edge_lstm.core.text import (
    KERAS_FILTERS,
    TextRule,
    Tokenizer,
    front_coded,
    front_decoded,
)

KERAS = Tokenizer(("the", "film", "good", "don't", "straße", "хорошо"), length=8)
WORDS = ("the", "film", "good", "!", "don't")
SUBWORDS = ("g", "o", "d", "oo", "un", "film", "好", "吃", "好吃", "é")
PIECES = Tokenizer.of_subwords(WORDS, SUBWORDS, 12)
# Keras's Tokenizer as it is: no start, unknown words left out, here the first ids kept.
KERAS_TOKENIZER = TextRule(
    KERAS_FILTERS, start_id=None, oov_id=None, first_word_id=1, keeps="first"
)
CHARACTERS = [
    *"godfilmunTHE 好吃很!?'’.,-\t\u3000\u00a0éxΣς",
    "İ",
    "\ud800",
    "\udfb7",
    "\ud842",
    "\ufffd",
]
TEXTS = st.text(st.sampled_from(CHARACTERS), max_size=40) | st.text()


def specified(tokenizer: Tokenizer, text: str) -> tuple[list[int], str]:
    """(ids, status) by engine/reference.py."""
    ids, status = reference.encode(specification(tokenizer), text)
    return ids, str(status)


@pytest.mark.parametrize("tokenizer", [KERAS, PIECES], ids=["keras", "pieces"])
@given(text=TEXTS)
def test_the_rule_is_what_the_specification_says(tokenizer: Tokenizer, text: str) -> None:
    encoded = tokenizer.encode_text(text)
    assert (encoded.ids, encoded.status) == specified(tokenizer, text)


@pytest.mark.parametrize("tokenizer", [KERAS, PIECES], ids=["keras", "pieces"])
@pytest.mark.parametrize(("more", "status"), [(0, "ok"), (1, "truncated")])
def test_a_text_that_fits_exactly_is_whole(tokenizer: Tokenizer, more: int, status: str) -> None:
    words = tokenizer.length - 1 + more  # beside the start's id
    encoded = tokenizer.encode_text("good " * words)
    assert (len(encoded.ids), encoded.status) == (tokenizer.length, status)


SPACES = "\t\n\x0b\x0c\r\x1c\x85\u00a0\u3000"
RULES = [
    KERAS_TOKENIZER,
    TextRule(KERAS_FILTERS, oov_id=1, start_id=None, first_word_id=1, keeps="last"),
    # TextVectorization
    TextRule(
        "\t\n\x0b\x0c\r",
        removed=KERAS_FILTERS.removesuffix("\t\n") + "'",
        lowercase="ascii",
        start_id=None,
        oov_id=1,
        first_word_id=1,
        keeps="first",
    ),
    TextRule(SPACES, lowercase="none", start_id=None, oov_id=5, first_word_id=1),
    TextRule("日\t", "!?", removed="好x", replace_wide=True, first_word_id=2, oov_id=None),
]
ODD = st.lists(
    st.sampled_from([*"!?؟’' \t\x0b\u3000日好xÉİ_.", "good", "GOOD", "film", "the", "don't", "  "]),
    max_size=30,
).map("".join)


@pytest.mark.parametrize("rule", RULES, ids=range(len(RULES)))
@given(text=ODD)
def test_a_rule_is_its_settings(rule: TextRule, text: str) -> None:
    tokenizer = Tokenizer(("the", "film", "good", "!", "don't", "dont", "GOOD"), 6, rule=rule)
    assert tokenizer.encode_text(text).ids == specified(tokenizer, text)[0]
    whole = replace(tokenizer, length=1000)
    ids = [i for token in whole.tokens(text) for i in token.ids]
    assert whole.with_start(ids) == whole.encode_text(text).ids


@pytest.mark.parametrize(
    "text", ["the film " * 500, "x" * 900 + " good" * 3, "qwx " * 300 + "good"]
)
def test_the_first_ids_of_a_long_text_are_those_of_the_whole(text: str) -> None:
    tokenizer = Tokenizer(WORDS, 6, rule=KERAS_TOKENIZER)
    assert tokenizer.encode_text(text).ids == specified(tokenizer, text)[0]


ENTRIES = st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))


@given(ENTRIES)
def test_every_vocabulary_is_read_as_it_was_stored(entries: list[str]) -> None:
    assert front_decoded(front_coded(entries), len(entries)) == tuple(entries)


@given(TEXTS)
def test_the_tokens_of_a_text_are_its_ids(text: str) -> None:
    wide = Tokenizer.of_subwords(WORDS, SUBWORDS, 1000)
    tokens = wide.tokens(text)
    assert [i for token in tokens for i in token.ids] == wide.encode_text(text).ids[1:]
    assert all(a.end <= b.start for a, b in pairwise(tokens))


@given(st.lists(st.sampled_from(["good ", "film.", "qwxy", " ", "ΑΣ", "'", "x" * 40]), max_size=8))
def test_a_long_text_read_from_its_end_has_the_ids_of_the_whole(parts: list[str]) -> None:
    tokenizer = Tokenizer((*KERAS.words, "ας"), length=8)
    encoded = tokenizer.encode_text(text := "".join(parts) * 200)
    assert (encoded.ids, encoded.status) == specified(tokenizer, text)
