"""Before the figures are believed: words the model does not know, texts that repeat."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.report import report
from edge_lstm.evaluation.texts import Duplicates, find_duplicates, oov_rate
from edge_lstm.modelfile import open_model
from edge_lstm.text import Tokenizer, split_words, text_key

KNOWN = Tokenizer(("the", "film", "good"))
MODEL = replace(open_model(), tokenizer=KNOWN, training={})


def that_expected(share: float) -> object:
    return replace(MODEL, training={"data": {"unknown_words": share}})


@given(st.text(), st.text())
def test_a_key_is_that_of_the_words(one: str, other: str) -> None:
    assert (text_key(one) == text_key(other)) == (split_words(one) == split_words(other))
    assert text_key(f" {one}\n!") == text_key(one)


@given(st.text(alphabet="the filmgood!,", max_size=60))
def test_known_words_are_those_of_the_vocabulary(text: str) -> None:
    words = split_words(text)
    assert KNOWN.count_words(text) == (len(words), sum(word in KNOWN.words for word in words))


def test_unknown_words_are_counted_over_the_whole_of_every_text() -> None:
    short = replace(MODEL, tokenizer=Tokenizer(KNOWN.words, length=2))
    for model in (MODEL, short):
        found = oov_rate(model, ["The film, unseen and good", "what", "!", ""])
        assert found.rate == pytest.approx(3 / 6)
        assert found.without_known_words == 1
    assert oov_rate(MODEL, ["", "?"]).rate == 0


def test_texts_of_another_kind_are_told_from_those_to_be_expected() -> None:
    texts = ["the film good odd", "good film good film good film good film"]  # 1 of 12 words
    assert not oov_rate(that_expected(0.06), texts).out_of_domain  # type: ignore[arg-type]
    other = oov_rate(that_expected(0.03), texts)  # type: ignore[arg-type]
    assert other.out_of_domain
    assert "8.3% of the words are unknown to it (3.0% in texts like" in other.note
    assert "train on some like them" in other.note
    assert not oov_rate(MODEL, texts).out_of_domain
    assert oov_rate(MODEL, ["the film is quite unheard of"]).out_of_domain


def test_repeats_and_contradictions_are_counted() -> None:
    texts = ["Good film", "good film!", "GOOD, film", "bad", "bad"]
    assert find_duplicates(texts, [0, 0, 1, 1, 1]) == Duplicates(repeated=3, conflicting=3)
    assert find_duplicates(texts[:2] + texts[3:4], [0, 0, 1]) == Duplicates(1, 0)


def test_the_report_tells_of_the_data_and_of_the_training() -> None:
    model = replace(open_model(), training={"warnings": ["only 90 <texts>: collect more"]})
    found = evaluate([model], ["Good film", "good film!", "qwxyz"], ["pos", "neg", "pos"], data="x.csv")
    pytest.importorskip("matplotlib", reason="drawing needs edge-lstm[report]")
    page = report(found)
    assert "<li>1 of 3 texts (33.3%) repeat the words of an earlier one.</li>" in page
    assert "<li>2 have the words of one with another label" in page
    assert "of its training: only 90 &lt;texts&gt;: collect more." in page
    assert "20.0% of the words are unknown to it, 1 texts hold no known word" in page
    answer = found.to_json()
    assert (answer["repeated_texts"], answer["contradictory_texts"]) == (1, 2)
    assert answer["models"][0]["oov"]["without_known_words"] == 1
    assert answer["models"][0]["training_warnings"] == ["only 90 <texts>: collect more"]
