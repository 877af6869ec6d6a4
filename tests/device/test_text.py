"""Text → ids by both text rules: as the specification says, for any text, and of long ones the
last."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from cases import rows
from hypothesis import given
from hypothesis import strategies as st
from specification import reference, specification

from edge_lstm.core.text import (
    KERAS_FILTERS,
    TextRule,
    Tokenizer,
    front_coded,
    front_decoded,
    text_key,
)
from edge_lstm.printable import well_formed

KERAS = Tokenizer(("the", "film", "good", "don't", "straße", "хорошо"), length=8)
WORDS = ("the", "film", "good", "!", "don't")
SUBWORDS = ("g", "o", "d", "oo", "un", "film", "好", "吃", "好吃", "é")
PIECES = Tokenizer.of_subwords(WORDS, SUBWORDS, 12)
NAMES = {1: "<s>", 2: "?", **dict(enumerate((*WORDS, *(f"·{piece}" for piece in SUBWORDS)), 4))}
# Keras's Tokenizer as it is: no start, unknown words left out, here the first ids kept.
KERAS_TOKENIZER = TextRule(
    KERAS_FILTERS, start_id=None, oov_id=None, first_word_id=1, keeps="first"
)
KERAS_WORDS = Tokenizer(WORDS, 9, rule=KERAS_TOKENIZER)
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


@pytest.mark.parametrize(
    ("ids", "status", "text"),
    rows(
        f"""
        1 4 5 | ok | The film
        1 4 2 5 | ok | the<br />film\\r\\n
        1 7 | ok | don't
        1 2 8 9 | ok | STRASSE Straße ХОРОШО
        1 | empty |
        1 | empty | \\x20\\n\\t ?!
        1 2 2 | unknown_words | qwxy zzy
        1 {"6 " * 7} | ok | {"good " * 7}
        4 {"6 " * 7} | truncated | the {"good " * 7}
        """
    ),
)
def test_ids_are_those_of_keras(text: str, ids: str, status: str) -> None:
    encoded = KERAS.encode_text(text)
    assert (encoded.ids, encoded.status) == ([*map(int, ids.split())], status)


@pytest.mark.parametrize(
    ("text", "ids"),
    rows(
        f"""
        The GOOD film! | <s> the good film !
        ungood | <s> ·un ·g ·oo ·d
        filmgood | <s> ·film ·g ·oo ·d
        filmxxgood | <s> ·film ? ·g ·oo ·d
        xx yy | <s> ? ?
        很好吃, good! | <s> ? ·好吃 good !
        don’t don't | <s> don't don't
        “good”…film　GOOD.film;!! | <s> good film good film ! !
        {"the " * 30}ungood | the the the the the the the the ·un ·g ·oo ·d
        """
    ),
)
def test_a_known_word_is_one_id_and_another_is_read_by_its_longest_pieces(
    text: str, ids: str
) -> None:
    assert " ".join(NAMES[i] for i in PIECES.encode_text(text).ids) == ids


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ud800", "\ufffd"),
        ("\udfff good \ud83d", "\ufffd good \ufffd"),
        ("go\ud800od\udfff", "go\ufffdod\ufffd"),
        ("\ud801\udc00good\ud83c\udfac", "\U00010428good\U0001f3ac"),
        ("\ud83c\ud83c\udfac\udfac", "\ufffd\U0001f3ac\ufffd"),
        ("\ud842\udfb7好\ud842", "\U00020bb7好\ufffd"),
    ],
)
def test_a_lone_surrogate_is_read_as_u_fffd_and_a_pair_as_its_character(
    text: str, read: str
) -> None:
    words = ("\U00010428good\U0001f3ac", "good")
    subwords = ("go", "good", "\U0001f3ac", "\U00020bb7", "好")
    for tokenizer in (Tokenizer(words), Tokenizer.of_subwords(words, subwords)):
        encoded = tokenizer.encode_text(text)
        assert encoded == tokenizer.encode_text(read)
        assert (encoded.ids, encoded.status) == specified(tokenizer, text)
        assert [i for token in tokenizer.tokens(text) for i in token.ids] == encoded.ids[1:]
        assert tokenizer.count_words(text) == tokenizer.count_words(read)
    assert text_key(text) == text_key(read)
    assert well_formed(text).lower() == read.lower()


@pytest.mark.parametrize("word", ["g" * 10_000, "好吃" * 5_000, "x" * 10_000, "\ud800" * 5])
def test_a_word_of_any_length_and_kind_is_read(word: str) -> None:
    assert len(PIECES.encode_text(word).ids) <= 12


@given(TEXTS)
def test_a_well_formed_text_stays_as_it_is(text: str) -> None:
    assert well_formed(well_formed(text)) == well_formed(text)
    assert len(well_formed(text)) <= len(text)
    well_formed(text).encode()


@pytest.mark.parametrize("tokenizer", [PIECES, KERAS_WORDS], ids=["pieces", "words"])
def test_the_settings_rebuild_the_rule(tokenizer: Tokenizer) -> None:
    entries = (*tokenizer.words, *tokenizer.pieces)
    assert Tokenizer.from_metadata(tokenizer.to_metadata(), entries) == tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "changes"),
    [
        (tokenizer, json.loads(changes))
        for tokenizer, table in (
            (
                PIECES,
                """
                {"lowercase": "turkish"}
                {"lowercase": ["unicode"]}
                {"truncation": "middle"}
                {"replacements": {"a": "b"}}
                {"removed": "!"}
                {"separators": "aa"}
                {"separators": null}
                {"marks": "é"}
                {"pad_id": 1}
                {"start_id": true}
                {"start_id": null}
                {"oov_id": null}
                {"oov_id": 1}
                {"first_word_id": 5}
                {"first_word_id": 1}
                """,
            ),
            (
                KERAS_WORDS,
                """
                {"oov_id": 0}
                {"oov_id": 6}
                {"start_id": 1}
                """,
            ),
        )
        for changes in table.strip().split("\n")
    ],
)
def test_settings_that_no_reader_has_are_refused(
    tokenizer: Tokenizer, changes: dict[str, object]
) -> None:
    settings = {**tokenizer.to_metadata(), **changes}
    with pytest.raises(ValueError):
        Tokenizer.from_metadata(settings, (*tokenizer.words, *tokenizer.pieces))


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


CODED = ["a", "about", "above", "x" * 40, "x" * 40 + "y", "x", "日本", "日本語", "b", "b"]


def test_a_vocabulary_is_stored_as_what_differs_from_the_entry_before() -> None:
    coded = (
        "\x01a\x02bout\x04ve\x01" + "x" * 40 + "\x1f" + "x" * 10 + "y\x02\x01日本\x03語\x01b\x02"
    )
    assert front_coded(CODED) == coded and front_decoded(coded, 10) == tuple(CODED)
    assert front_coded([]) == "" and front_decoded("", 0) == ()


ENTRIES = st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))


@given(ENTRIES)
def test_every_vocabulary_is_read_as_it_was_stored(entries: list[str]) -> None:
    assert front_decoded(front_coded(entries), len(entries)) == tuple(entries)


@given(st.text("\x00\x01\x02\x03\x1f\x20ab"))
def test_any_other_vocabulary_is_refused_or_has_no_empty_word(text: str) -> None:
    try:
        entries = front_decoded(text, 100)
    except ValueError as error:
        assert "vocabulary" in str(error)
    else:
        assert all(entries) and len(front_coded(entries)) <= len(text)


def test_more_entries_than_a_vocabulary_may_have_are_counted_before_they_are_read() -> None:
    assert len(front_decoded("\x01a" * 1000, 1000)) == 1000
    with pytest.raises(ValueError, match="more than 1,000 entries"):
        front_decoded("\x01a" * 1001, 1000)


@given(TEXTS)
def test_the_tokens_of_a_text_are_its_ids(text: str) -> None:
    wide = Tokenizer.of_subwords(WORDS, SUBWORDS, 1000)
    tokens = wide.tokens(text)
    assert [i for token in tokens for i in token.ids] == wide.encode_text(text).ids[1:]
    assert all(a.end <= b.start for a, b in pairwise(tokens))


def test_pieces_of_a_script_without_spaces_are_tokens_of_their_own() -> None:
    text = "Good 很好吃!"
    tokens = [(text[t.start : t.end], t.known) for t in PIECES.tokens(text)]
    assert tokens == [("Good", True), ("很", False), ("好吃", True), ("!", True)]
    assert PIECES.count_words(text) == (4, 3)


@given(st.lists(st.sampled_from(["good ", "film.", "qwxy", " ", "ΑΣ", "'", "x" * 40]), max_size=8))
def test_a_long_text_read_from_its_end_has_the_ids_of_the_whole(parts: list[str]) -> None:
    tokenizer = Tokenizer((*KERAS.words, "ας"), length=8)
    encoded = tokenizer.encode_text(text := "".join(parts) * 200)
    assert (encoded.ids, encoded.status) == specified(tokenizer, text)
