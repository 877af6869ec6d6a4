"""The text rule pieces-1: known words are one id, others are read by their parts, in any script."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.text import MARKS, Tokenizer, split_marks

WORDS = ("the", "film", "good", "!", "don't")
PIECES = ("g", "o", "d", "oo", "un", "film", "好", "吃", "好吃", "é")
TOKENIZER = Tokenizer(WORDS, length=12, pieces=PIECES)
NAMES = {1: "<s>", 2: "?", **dict(enumerate((*WORDS, *(f"·{piece}" for piece in PIECES)), 4))}


def read(text: str, tokenizer: Tokenizer = TOKENIZER) -> str:
    return " ".join(NAMES[i] for i in tokenizer.encode_text(text).ids)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("The GOOD film!", "<s> the good film !"),
        ("ungood", "<s> ·un ·g ·oo ·d"),
        ("filmgood", "<s> ·film ·g ·oo ·d"),
        ("filmxxgood", "<s> ·film ? ·g ·oo ·d"),
        ("xx yy", "<s> ? ?"),
        ("好吃好", "<s> ·好吃 ·好"),
        ("很好吃, good!", "<s> ? ·好吃 good !"),
        ("don’t don't", "<s> don't don't"),
        ("“good”…film", "<s> good film"),
        ("good\u3000film", "<s> good film"),
        ("GOOD.film;film", "<s> good film film"),
        ("!!", "<s> ! !"),
    ],
)
def test_a_known_word_is_one_id_and_another_is_read_by_its_longest_pieces(text: str, ids: str) -> None:
    assert read(text) == ids


@pytest.mark.parametrize(
    ("text", "status"),
    [("good", "ok"), ("gd", "ok"), ("", "empty"), (".,;", "empty"), ("xyz Ωψ", "unknown_words")],
)
def test_the_status_tells_what_could_be_read(text: str, status: str) -> None:
    assert TOKENIZER.encode_text(text).status == status


def test_a_long_text_keeps_its_last_ids() -> None:
    encoded = TOKENIZER.encode_text("the " * 30 + "ungood")
    assert encoded.status == "truncated"
    assert [NAMES[i] for i in encoded.ids[-4:]] == ["·un", "·g", "·oo", "·d"]
    assert len(encoded.ids) == 12


@pytest.mark.parametrize("word", ["g" * 10_000, "好吃" * 5_000, "x" * 10_000, "\ud800" * 5])
def test_a_word_of_any_length_and_kind_is_read(word: str) -> None:
    assert len(TOKENIZER.encode_text(word).ids) <= 12


def test_the_settings_rebuild_the_rule() -> None:
    settings, vocabulary = TOKENIZER.to_metadata(), "\n".join((*WORDS, *PIECES))
    assert settings["rule"] == "pieces-1"
    assert settings["marks"] == "!"
    assert Tokenizer.from_metadata(settings, vocabulary) == TOKENIZER
    for key, value in {"separators": " ", "marks": "!?", "lowercase": "ascii"}.items():
        with pytest.raises(ValueError, match="is not supported"):
            Tokenizer.from_metadata({**settings, key: value}, vocabulary)


def by_the_book(text: str, tokenizer: Tokenizer) -> list[int]:
    """The rule as text.py states it, from the settings alone."""
    settings = tokenizer.to_metadata()
    text = text.lower()
    for wide, narrow in settings["replacements"].items():
        text = text.replace(wide, narrow)
    for separator in settings["separators"]:
        text = text.replace(separator, " ")
    for mark in settings["marks"]:
        text = text.replace(mark, f" {mark} ")
    entries = [*tokenizer.words, *(tokenizer.pieces or ())]
    words = {word: i + 4 for i, word in enumerate(entries[: settings["words"]])}
    pieces = {piece: i + 4 for i, piece in enumerate(entries) if i >= settings["words"]}
    ids = [1]
    for word in filter(None, text.split(" ")):
        if word in words:
            ids.append(words[word])
            continue
        parts: list[int] = []
        while word:
            end = next((n for n in range(len(word), 0, -1) if word[:n] in pieces), 0)
            if end or not parts or parts[-1] != 2:
                parts.append(pieces[word[:end]] if end else 2)
            word = word[end or 1 :]
        ids += parts
    return ids[-settings["length"] :]


CHARACTERS = [*"godfilmunTHE 好吃很!?'’.,-\t\u3000\u00a0éxΣς", "İ", "\ud800"]
TEXTS = st.text(st.sampled_from(CHARACTERS), max_size=40)


@given(TEXTS)
def test_the_rule_is_what_its_description_says(text: str) -> None:
    assert TOKENIZER.encode_text(text).ids == by_the_book(text, TOKENIZER)


@given(TEXTS)
def test_the_tokens_of_a_text_are_its_ids(text: str) -> None:
    wide = Tokenizer(WORDS, length=1000, pieces=PIECES)
    tokens = wide.tokens(text)
    assert [i for token in tokens for i in token.ids] == wide.encode_text(text).ids[1:]
    assert all(a.end <= b.start for a, b in pairwise(tokens))


def test_pieces_of_a_script_without_spaces_are_tokens_of_their_own() -> None:
    text = "Good 很好吃!"
    assert [(text[t.start : t.end], t.known) for t in TOKENIZER.tokens(text)] == [
        ("Good", True),
        ("很", False),
        ("好吃", True),
        ("!", True),
    ]
    assert TOKENIZER.count_words(text) == (4, 3)


def test_marks_that_the_vocabulary_lacks_are_spaces() -> None:
    assert split_marks("a,b!c", "!") == ["a", "b", "!", "c"]
    assert split_marks("".join(MARKS)) == list(MARKS)
