"""The plan: what is decided from facts, how it is shown, edited and run, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import train
from conftest import Trained
from edge_lstm_export import Plan, make_plan
from edge_lstm_export.train.checkpoint import load_checkpoint
from edge_lstm_export.train.plan import PRESETS, Asked, Facts, explain, facts_of
from edge_lstm_export.train.train import fit
from hypothesis import given
from hypothesis import strategies as st
from made import dataset, rows, several_rows, write_csv

from edge_lstm.errors import DataError

Values = dict[str, Any]
NO: Values = {}
MOOD: Values = {"sentiment": (0.8, 0.6, 0.6)}  # accuracy with the sentiment model, without it, its own
EN: Values = {"english": 0.9}
LONG: Values = {"words": 230.0}
CHINESE: Values = {"words": 40.0, "unsegmented": True}
SETS: Values = {"several": True}
LOG: Values = {"unlabelled": 50_000, **EN}
E, READY = {"teacher": "E"}, {"teacher": "E", "classifier": True}
MOOD_ASKED = {"teacher": "sentiment"}
MUCH: Values = {"epochs": 30, "words": 900, "validation": 0.2, "balance": True}

# rows, labels, more facts, asked → kind: teachers; word vectors (* related words come in); fit of n-grams;
# validation; passes x batch; augmented texts of a row (~: misspelt ones); own labels' share; unlabelled.
GOLDEN: list[tuple[int, int, Values, Values, str]] = [
    (5, 2, NO, NO, "short: none; texts; svm; 0%; 40x8; 0; 1.0; 0"),
    (60, 2, NO, NO, "short: linear; texts; svm; 3 folds; 40x8; 0; 0.8; 0"),
    (60, 2, NO, {"validation": 0.0}, "short: linear; texts; svm; 0%; 40x8; 0; 0.8; 0"),
    (200, 2, EN, NO, "short: linear; english*; svm; 3 folds; 20x8; 0; 0.8; 0"),
    (200, 2, {"english": 0.5}, NO, "short: linear; texts; svm; 3 folds; 20x8; 0; 0.8; 0"),
    (200, 2, EN | MOOD, NO, "short: linear sentiment; english*; logistic; 3 folds; 14x64; 20; 0.6; 0"),
    (200, 2, {"sentiment": (0.8, 0.6, 0.5)}, NO, "short: linear; texts; svm; 3 folds; 20x8; 0; 0.8; 0"),
    (200, 2, EN | MOOD, {"teacher": "none"}, "short: linear; english*; svm; 3 folds; 20x8; 0; 0.8; 0"),
    (200, 2, EN, MOOD_ASKED, "short: linear sentiment; english*; logistic; 3 folds; 14x64; 20; 0.6; 0"),
    (200, 2, EN, E, "short: linear probe fine-tuned; encoder*; logistic; 3 folds; 14x64; 20; 0.6; 0"),
    (200, 2, MOOD, E,
     "short: linear sentiment probe fine-tuned; english*; logistic; 3 folds; 14x64; 20; 0.6; 0"),
    (200, 2, NO, READY, "short: linear classifier; texts; logistic; 3 folds; 14x64; 20; 0.6; 0"),
    (200, 2, LOG, NO, "short: linear; english; logistic; 3 folds; 14x64; 0; 0.8; 20000"),
    (200, 2, LOG, E, "short: linear probe fine-tuned; english; svm; 3 folds; 14x64; 0; 0.6; 20000"),
    (1_999, 6, EN, NO, "short: linear; english*; svm; 3 folds; 16x64; 0; 0.8; 0"),
    (2_000, 6, EN, NO, "short: linear; english; svm; 10%; 16x64; 0~; 0.8; 0"),
    (2_000, 6, EN, {"preset": "base"}, "short: linear; english*; svm; 10%; 16x64; 0~; 0.8; 0"),
    (5_000, 6, EN, E, "short: linear fine-tuned; encoder; logistic; 10%; 8x64; 20~; 0.6; 0"),
    (5_000, 6, EN | MOOD, NO, "short: linear sentiment; english*; logistic; 10%; 8x64; 3~; 0.6; 0"),
    (5_000, 2, EN, MUCH, "short: linear; english; svm; 20%; 30x64; 0~; 0.8; 0"),
    (30_000, 6, EN | MOOD, NO, "short: linear sentiment; english*; svm; 10%; 14x64; 0; 0.6; 0"),
    (30_000, 6, NO, E, "short: linear fine-tuned; encoder; svm; 10%; 14x64; 0; 0.6; 0"),
    (120_000, 6, EN, NO, "short: linear; texts; svm; 10%; 14x64; 0; 0.8; 0"),
    (770, 77, EN, NO, "many labels: none; english*; low-rank+svm; 3 folds; 20x32; 0; 1.0; 0"),
    (770, 77, EN, E,
     "many labels: linear probe fine-tuned; encoder*; low-rank+svm; 3 folds; 14x64; 15; 0.6; 0"),
    (770, 77, LOG, NO, "many labels: linear; english; low-rank+svm; 3 folds; 14x64; 0; 0.8; 20000"),
    (770, 77, LOG, E, "many labels: linear probe fine-tuned; texts; low-rank; 3 folds; 14x64; 0; 0.6; 20000"),
    (10_000, 77, EN, NO, "many labels: none; english; low-rank; 10%; 14x64; 0~; 1.0; 0"),
    (10_000, 77, LOG, NO, "many labels: linear; english; low-rank; 10%; 8x64; 0~; 0.8; 20000"),
    (5_000, 400, NO, NO, "many labels: none; texts; low-rank; 10%; 14x64; 0~; 1.0; 0"),
    (9_000, 2, CHINESE, NO, "unsegmented: linear; texts; svm; 10%; 14x64; 0; 0.8; 0"),
    (300, 3, CHINESE, NO, "unsegmented: linear; texts; svm; 3 folds; 14x8; 0; 0.8; 0"),
    (25_000, 2, LONG, NO, "long: linear; texts; logistic; 10%; 8x32; 0; 0.8; 0"),
    (25_000, 2, LONG | LOG, NO, "long: linear; texts; logistic; 10%; 8x32; 0; 0.8; 50000"),
    (25_000, 2, LONG, {"preset": "seed"}, "long: none; none; svm; 10%; 6x64; 0; 1.0; 0"),
    (500, 5, LONG, NO, "long: linear; texts; logistic; 3 folds; 16x16; 0; 0.8; 0"),
    (800, 8, SETS, NO, "short: linear; texts; svm; 3 folds; 20x32; 0; 0.8; 0"),
    (8_000, 28, SETS | LOG, E, "many labels: linear fine-tuned; texts; low-rank; 10%; 8x64; 2~; 0.6; 20000"),
]  # fmt: skip
# rows, labels, more facts, preset → words/embedding/units of the LSTM, the width of n-grams' vectors.
SHAPES: list[tuple[int, int, Values, str, str]] = [
    (200, 2, NO, "tiny", "2522/14/14 both ways, n-grams x 1"),
    (200, 2, EN, "small", "5144/30/30 both ways slow words, n-grams x 1"),
    (200, 2, NO, "base", "28622/14/30 both ways, n-grams x 1"),
    (200, 2, MOOD, "tiny", "2639/14/30 both ways pretrained, n-grams x 1"),
    (20, 2, MOOD | {"word_bytes": 3.7}, "small", "10242/14/30 both ways pretrained, n-grams x 1"),
    (9_000, 2, MOOD, "small", "9536/14/30 both ways pretrained, n-grams x 1"),
    (200, 2, MOOD, "base", "16717/30/94 both ways pretrained, n-grams x 1"),
    (9_000, 2, EN, "base", "12939/46/62 both ways slow words, n-grams x 1"),
    (9_000, 6, EN, "small", "6875/14/30 both ways slow words, n-grams x 6"),
    (9_000, 77, NO, "small", "2992/30/46 both ways, n-grams x 32"),
    (9_000, 2, CHINESE, "small", "3000/30/46 both ways, n-grams x 1"),
    (25_000, 2, LONG, "base", "16000/30/94 both ways slow words, n-grams x 1"),
    (25_000, 2, LONG, "seed", "5000/32/100, n-grams x 0"),
]  # fmt: skip


def planned(rows: int, labels: int, facts: Values, asked: Values) -> tuple[Facts, Plan]:
    found = Facts(rows, labels, **facts)
    return found, make_plan(found, Asked(**asked))


def decisions(facts: Facts, plan: Plan) -> str:
    loop, judged = plan.loop, plan.validation
    parts = [
        " ".join(name.removesuffix(" E") for name in plan.teachers) or "none",
        ("texts" if loop.word_vectors else plan.word_table) + "*" * plan.related_words,
        plan.sparse.fit,
        f"{judged.folds} folds" if judged.folds else f"{judged.share:.0%}",
        f"{loop.epochs}x{loop.batch_size}",
        str(plan.augmentation) + "~" * (plan.misspelt > 0),
        str(plan.own_labels),
        str(plan.unlabelled),
    ]
    return f"{facts.kind}: {'; '.join(parts)}"


def shape(plan: Plan) -> str:
    net = plan.network
    lstm = f"{net.num_words}/{net.embedding_dim}/{net.hidden}{' both ways' * net.bidirectional}"
    lstm += " pretrained" * plan.loop.pretrained + " slow words" * (plan.loop.embedding_rate < 1)
    return f"{lstm}, n-grams x {net.ngram_dim}"


@pytest.mark.parametrize(("rows", "labels", "facts", "asked", "expected"), GOLDEN)
def test_facts_and_what_is_asked_decide_the_plan(
    rows: int, labels: int, facts: Values, asked: Values, expected: str
) -> None:
    found, plan = planned(rows, labels, facts, asked)
    assert decisions(found, plan) == expected
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.balance == asked.get("balance", False)
    assert (plan.text.rule == "keras") == (plan.preset == "seed")
    assert all(all(line) for line in explain(plan, found))


@pytest.mark.parametrize(("rows", "labels", "facts", "preset", "expected"), SHAPES)
def test_the_preset_and_the_data_decide_the_widths(
    rows: int, labels: int, facts: Values, preset: str, expected: str
) -> None:
    _, plan = planned(rows, labels, facts, {"preset": preset})
    assert shape(plan) == expected and plan.kb == PRESETS[preset].kb


@given(
    rows=st.integers(1, 100_000),
    labels=st.integers(2, 200),
    words=st.floats(1, 400),
    several=st.booleans(),
    unsegmented=st.booleans(),
    preset=st.sampled_from(list(PRESETS)),
)
def test_any_data_get_a_plan_that_can_be_read_back(
    rows: int, labels: int, words: float, several: bool, unsegmented: bool, preset: str
) -> None:
    facts = Facts(rows, labels, several, words, unsegmented)
    plan = make_plan(facts, Asked(preset))
    assert Plan.from_dict(plan.to_dict()) == plan
    assert make_plan(facts, Asked(preset)) == plan
    assert plan.network.ngrams <= 1_000_000 and plan.loop.epochs <= 40


def test_facts_are_counted_from_the_texts() -> None:
    short = facts_of(dataset(rows(60)), unlabelled=9)
    assert (short.rows, short.labels, short.several, short.unlabelled) == (60, 2, False, 9)
    assert 5 < short.words < 9 and short.kind == "short"
    assert facts_of(dataset(several_rows(60), several=True)).several
    chinese = facts_of(dataset([("这个菜很好吃", "a"), ("送餐太慢了", "b")] * 5))
    assert chinese.unsegmented and chinese.kind == "unsegmented" and chinese.words == 5.5
    assert facts_of(dataset([("a word " * 40, "a"), ("word", "b")])).words == 40.5
    assert facts_of(dataset([("\ud83d x", "a"), ("\ud83d y", "b")])).word_bytes > 0


def changed(**values: Any) -> Values:
    """A plan's values with others: of a part as part__name; ... removes one."""
    plan = make_plan(Facts(60, 2)).to_dict()
    for name, value in values.items():
        part, _, inner = name.partition("__")
        table, key = (plan[part], inner) if inner else (plan, part)
        if value is ...:
            del table[key]
        else:
            table[key] = value
    return plan


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 2}, "the plan does not have format 1"),
        ({"colour": "red"}, "the plan has no 'colour'"),
        ({"seed": ...}, "the plan lacks 'seed'"),
        ({"loop": 3}, r"\[loop\] must be a table of epochs"),
        ({"loop__epochs": ...}, r"\[loop\] lacks 'epochs'"),
        ({"loop__speed": 3}, r"\[loop\] has no 'speed'"),
        ({"loop__epochs": 0}, "epochs must be from 1"),
        ({"teachers": ["oracle"]}, "an unknown teacher 'oracle'"),
        ({"teachers": ["linear", "linear"]}, "a teacher twice"),
        ({"augmentation": 3, "teachers": []}, "augmented texts need a teacher"),
        ({"word_table": "encoder"}, "set word_table to none"),
        ({"preset": "best"}, "no preset 'best'; choose one of tiny, small, medium, base, seed$"),
        ({"loop__epochs": 1.5}, r"\[loop\]: epochs must be a whole number, not 1.5"),
        ({"loop__learning_rate": float("nan")}, "learning_rate must be a number"),
        ({"loop__learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"loop__bfloat16": 1}, "bfloat16 must be true or false, not 1"),
        ({"network__hidden": 10**9}, "hidden must be from 1 to 4,096"),
        ({"network__dropout": 1.0}, "dropout must be from 0 to below 1, not 1.0"),
        ({"network__ngram_dim": 0}, "ngram_dim must be 1 or more where there are n-grams"),
        ({"network__pooling": "sum"}, "pooling must be one of last, mean"),
        ({"network__ngram_dim": 7}, "sparse fit svm needs ngram_dim = 1, one per logit"),
        ({"sparse__fit": "residual"}, "residual needs n-grams, and a validation without folds"),
        ({"loop__pretrained": True, "network__hidden": 31}, "30 units on embeddings of 14 or 94 units on"),
        ({"validation__folds": 1}, "folds must be 0, or 2 or more, not 1"),
        ({"validation__folds": 3, "validation__share": 0.1}, "by share or by folds"),
        ({"teachers": "linear"}, "teachers must be a list of names"),
        ({"own_labels": None}, "own_labels must be a number, not None"),
    ],
    ids=str,
)
def test_a_plan_that_means_nothing_is_refused_in_one_line(values: Values, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        Plan.from_dict(changed(**values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "asked", "said"),
    [
        ({}, {"preset": "seed", "teacher": "sentiment"}, "leave out --teacher and --unlabelled"),
        ({"unlabelled": 9}, {"preset": "seed"}, "leave out --teacher and --unlabelled"),
    ],
    ids=str,
)
def test_what_cannot_be_planned_is_refused(facts: Values, asked: Values, said: str) -> None:
    with pytest.raises(DataError, match=said):
        make_plan(Facts(60, 2, **facts), Asked(**asked))


# --- At the command line ------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = train(trained.rows, "--dry-run")
    assert result.returncode == 0, result.stderr
    for word in ("texts", "60", "sea 30", "words per text", "LSTM", "n-grams", "linear", "3-fold", "300 kB"):
        assert word in result.stdout
    assert result.stderr == "" and list(tmp_path.iterdir()) == []


def test_a_plan_that_is_shown_fits_a_terminal_whatever_the_names_are(encoder: Path, tmp_path: Path) -> None:
    labels = [f"a label of a rather long name, number {i}" for i in range(12)]
    result = train(write_csv(tmp_path / "d.csv", rows(60, labels)), "--teacher", encoder, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "fine-tuned" in result.stdout and max(map(len, result.stdout.splitlines())) <= 80


def test_an_edited_plan_is_run_and_kept(trained: Trained, tmp_path: Path) -> None:
    output, file = tmp_path / "m.safetensors", tmp_path / "plan.json"
    shown = train(trained.rows, "-o", output, "--preset", "tiny", "--dry-run", "--json")
    plan = json.loads(shown.stdout)
    assert Plan.from_dict(plan).to_dict() == plan
    plan["loop"]["epochs"], plan["validation"] = 1, {"share": 0.2, "folds": 0}
    plan["network"]["hidden"], plan["network"]["embedding_dim"] = 6, 6
    file.write_text(json.dumps(plan))
    result = train(trained.rows, "-o", output, "--plan", file)
    assert result.returncode == 0, result.stderr
    checkpoint = load_checkpoint(output)
    assert checkpoint.plan == plan
    assert (checkpoint.network.config.hidden, checkpoint.training["epochs"]) == (6, 1)
    assert checkpoint.training["data"]["validation_texts"] == 12


def test_a_plan_for_other_labels_gets_one_line(trained: Trained, tmp_path: Path) -> None:
    """What is no plan at all: tests/end_to_end/test_hostile_train.py."""
    file = tmp_path / "plan.json"
    for values, said in (
        ({"network__labels": 3, "network__ngram_dim": 3}, "the plan is for 3 labels, the data have 2"),
        ({"network__several": True, "network__ngram_dim": 2}, "make a plan for these data"),
    ):
        file.write_text(json.dumps(changed(**values)))
        assert said in train(trained.rows, "-o", tmp_path / "m.safetensors", "--plan", file).error
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize("option", ["--preset=base", "--epochs=3", "--balance", "--teacher=none", "--seed=0"])
def test_what_a_plan_decides_is_refused_beside_it(trained: Trained, tmp_path: Path, option: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(changed()))
    result = train(trained.rows, "-o", tmp_path / "m.safetensors", "--plan", file, option)
    assert f"--plan decides what {option.partition('=')[0]} does" in result.error


def test_a_plan_that_is_not_edited_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also the same test part, of which the seed decides."""
    source, file = write_csv(tmp_path / "d.csv", rows(400)), tmp_path / "plan.json"
    options = ("--preset", "tiny", "--epochs", "1", "--seed", "5", "--teacher", "none")
    file.write_text(train(source, *options, "--dry-run", "--json").stdout)
    outputs = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    assert train(source, "-o", outputs[0], *options).returncode == 0
    assert train(source, "-o", outputs[1], "--plan", file).returncode == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert train(source, *options).returncode == 2, "without -o"


def test_no_more_texts_of_a_log_are_learnt_from_than_are_planned() -> None:
    data, log = dataset(rows(60)), tuple(text for text, _ in rows(30, seed=3))
    plan = make_plan(facts_of(data, 9), Asked("tiny", epochs=1, validation=0.0))
    found = fit(data, plan, unlabelled=log).checkpoint.training["data"]["unlabelled_texts"]
    assert found == plan.unlabelled == 9
