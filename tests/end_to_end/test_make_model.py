"""tools/sentiment: what the package's model learns from, and the plans that make it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("edge_lstm_export")

from edge_lstm_export.train.sources.memory import dataset_from

sys.path.append(str(Path(__file__).parents[2] / "tools" / "sentiment"))
from make import RECIPES, plan_of
from sentences import labelled_sentences

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


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_plan(name: str) -> None:
    texts = ["A film of two hours that nobody will forget. " * 20, "Dull."] * 40
    plan = plan_of(name, dataset_from(texts, ["pos", "neg"] * 40))
    assert plan.network.num_words == RECIPES[name].words
    assert plan.network.hidden == RECIPES[name].hidden
    assert plan.network.ngrams == 0
