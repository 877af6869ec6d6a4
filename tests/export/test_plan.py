"""The plan: what is decided from facts, how it is shown, edited and run, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden_plans
import pytest
from cases import rows as cases
from commands import inspected, train
from conftest import Trained
from edge_lstm_export import DatasetStats, Plan, TrainingRequest, make_plan
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.train.fit import fit
from edge_lstm_export.train.lstm.loop import Callbacks
from edge_lstm_export.train.plan.decisions import decide
from edge_lstm_export.train.plan.defaults import PRESETS
from edge_lstm_export.train.plan.in_words import fields_of
from edge_lstm_export.train.plan.planning import plan_training
from edge_lstm_export.train.plan.stats import dataset_stats
from hypothesis import given, settings
from hypothesis import strategies as st
from made import dataset, multi_label_rows, rows, write_csv

from edge_lstm.errors import DataError

Values = dict[str, Any]
PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", golden_plans.NAMES)
def test_statistics_and_a_request_decide_the_whole_plan(name: str) -> None:
    """If a default changed on purpose: python tests/export/golden_plans.py, and the diff says
    what."""
    case = golden_plans.read_case(name)
    stats, request = golden_plans.stats_and_request(case)
    assert golden_plans.plan_of(case) == case["plan"]
    if isinstance(case["plan"], str):  # the error of data that cannot be planned
        return
    decided = decide(stats, request)
    assert Plan.from_dict(json.loads(json.dumps(decided.plan.to_dict()))) == decided.plan
    reasons = {path: reason for path, _, reason in fields_of(decided)}
    assert not any("as the plan says" in why for why in reasons.values()), "it was not edited"
    assert len(reasons) <= 60
    parts = {path.partition(".")[0] for path in reasons}
    assert {path.partition(".")[0] for path in decided.reasons} <= parts


@settings(max_examples=30)
@given(
    rows=st.integers(1, 100_000),
    labels=st.integers(2, 200),
    words=st.floats(1, 400),
    multi_label=st.booleans(),
    unsegmented=st.booleans(),
    preset=st.sampled_from(list(PRESETS)),
)
def test_any_data_get_a_plan_that_can_be_read_back(
    rows: int, labels: int, words: float, multi_label: bool, unsegmented: bool, preset: str
) -> None:
    facts = DatasetStats(rows, labels, multi_label, words, unsegmented)
    plan = make_plan(facts, TrainingRequest(preset))
    assert Plan.from_dict(plan.to_dict()) == plan
    assert make_plan(facts, TrainingRequest(preset)) == plan
    assert plan.network.ngrams <= 1_000_000 and plan.loop.epochs <= 40


def test_facts_are_counted_from_the_texts() -> None:
    short = dataset_stats(replace(dataset(rows(60)), unlabelled=("one",) * 9))
    assert (short.rows, short.labels, short.multi_label, short.unlabelled) == (60, 2, False, 9)
    assert 5 < short.mean_length < 9 and short.kind == "short"
    chinese = dataset_stats(dataset([("这个菜很好吃", "a"), ("送餐太慢了", "b")] * 5))
    assert (chinese.kind, chinese.mean_length) == ("unsegmented", 5.5)
    assert dataset_stats(dataset([("a word " * 40, "a"), ("word", "b")])).mean_length == 40.5
    assert dataset_stats(dataset([("\ud83d x", "a"), ("\ud83d y", "b")])).word_bytes > 0


def changed(**values: Any) -> Values:
    """A plan's values with others: of a part as part__name."""
    plan = make_plan(DatasetStats(60, 2)).to_dict()
    for name, value in values.items():
        part, _, inner = name.partition("__")
        if inner:
            plan[part][inner] = value
        else:
            plan[part] = value
    return plan


MEANINGLESS = r"""
"format": 1 | the plan does not have format 2
"colour": "red" | the plan has no 'colour'
"loop": 3 | \\[loop\\] must be a table of epochs
"loop__speed": 3 | \\[loop\\] has no 'speed'
"loop__epochs": 0 | epochs must be from 1
"teachers": ["linear"] | \\[teachers\\] must be a table of source, sha256, kind
"teachers": [{"source": "", "sha256": "", "kind": "oracle"}] | kind must be one of linear, model
"teachers": [LINEAR, LINEAR] | a teacher twice
"augmentation__texts_per_row": 3, "teachers": [] | augmented texts need a teacher
"sparse__shortest": 6 | shortest must be from 1 to 5
"word_table": "encoder" | set word_table to none
"preset": "best" | preset must be one of tiny, small, medium, base, seed, not 'best'$
"preset": "Smal" | not 'Smal'; did you mean 'small'\\?$
"loop__epochs": 1.5 | \\[loop\\]: epochs must be a whole number, not 1.5
"loop__learning_rate": NaN | learning_rate must be above 0
"network__bidirectional": 1 | bidirectional must be true or false, not 1
"network__dropout": 1.0 | dropout must be from 0 to below 1, not 1.0
"network__ngram_dim": 0 | its ngram_dim is 0, and it has n-grams
"network__pooling": "sum" | pooling must be one of last, mean
"network__ngram_dim": 7 | sparse fit svm needs ngram_dim = 1, one per logit
"validation__folds": 3, "validation__share": 0.1 | by share or by folds
"teachers": "linear" | teachers must be a list, not
"teachers": [{"source": "x.onnx", "sha256": "", "kind": "linear"}] | linear alone has none
"sparse__fit": "low-rank" | needs three labels or more; use svm or logistic
"sparse__fit": "low-rank+svm" | needs three labels or more; use svm or logistic
"validation__folds": 1 | folds must be 0, or 2 or more, not 1
"fields": ["amount"] | the plan has no 'fields'; it has augmentation
"hard_label_weight": null | hard_label_weight must be a number, not None
"""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        *cases(MEANINGLESS),
        pytest.param(
            f'"loop__learning_rate": 1{"0" * 400}',
            "learning_rate must be above 0",
            id="400 digits",
        ),
    ],
)
def test_a_plan_that_means_nothing_is_refused_in_one_line(values: str, said: str) -> None:
    linear = '{"source": "", "sha256": "", "kind": "linear"}'
    given = json.loads("{" + values.replace("LINEAR", linear) + "}")
    with pytest.raises(DataError, match=said) as caught:
        Plan.from_dict(changed(**given))
    assert "\n" not in str(caught.value)


def test_a_plan_that_lacks_a_value_is_refused() -> None:
    values = changed()
    del values["seed"]
    with pytest.raises(DataError, match="the plan lacks 'seed'"):
        Plan.from_dict(values)


@pytest.mark.parametrize(
    ("unlabelled", "asked"),
    [(0, {"teacher": "sentiment"}), (0, {"start": "sentiment"}), (9, {})],
    ids=["teacher", "start", "unlabelled"],
)
def test_the_preset_seed_learns_from_the_rows_alone(unlabelled: int, asked: Values) -> None:
    said = "--unlabelled" if unlabelled else "--teacher and --start"
    with pytest.raises(DataError, match=f"labels alone; leave out {said}$"):
        make_plan(DatasetStats(60, 2, unlabelled=unlabelled), TrainingRequest("seed", **asked))


# --- At the command line --------------------------------------------------------------------------


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    trained: Trained,
) -> None:
    result = train(trained.rows, "--dry-run")
    assert result.returncode == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for begin in (
        "labels 2: sea 30, shop 30",
        "max_kilobytes 160 (preset small",
        "teachers none (sentiment tried",
        "validation.folds 3 (60 rows are too few",
        "loop.epochs ",
    ):
        assert any(line.startswith(begin) for line in lines), begin
    for path, _, _ in fields_of(decide(DatasetStats(60, 2))):
        assert any(line.startswith(f"{path} ") for line in lines), path
    assert result.stderr == "" and list(Path().iterdir()) == []


def test_a_plan_that_is_shown_fits_a_terminal_whatever_the_names_are(encoder: Path) -> None:
    labels = [f"a label of a rather long name, number {i}" for i in range(12)]
    source = write_csv("d.csv", rows(60, labels))
    result = train(source, "--teacher", encoder, "--dry-run")
    assert "fine-tuned" in result.stdout and max(map(len, result.stdout.splitlines())) <= 80


def test_an_edited_plan_is_run_and_kept(trained: Trained) -> None:
    output = Path("m.safetensors")
    file = Path("plan.json")
    asked = ("--preset", "tiny", "--teacher", "none", "--dry-run", "--json")
    plan = json.loads(train(trained.rows, *asked).stdout)
    plan["loop"]["epochs"] = 1
    plan["validation"] |= {"share": 0.2, "folds": 0}
    plan["network"]["hidden"] = 6
    file.write_text(json.dumps(plan))
    result = train(trained.rows, "-o", output, "--plan", file)
    assert result.returncode == 0, result.stderr
    made = inspected(output)
    assert made["plan"] == plan
    assert made["network"]["layers"][0]["lstm"] == 6
    assert made["training"]["epochs"] == 1
    assert made["training"]["data"]["validation_texts"] == 12


# Data of several kinds: short texts, sets of labels, and a script without spaces.
KINDS = {
    "short": dataset(rows(120)),
    "sets of labels": dataset(multi_label_rows(120), multi_label=True),
    "unsegmented": dataset(
        [("这个菜很好吃" + c, "a") for c in "甲乙丙丁戊己庚辛"]
        + [("送餐太慢了" + c, "b") for c in "子丑寅卯辰巳午未"]
    ),
    "many labels": dataset(rows(136, [f"label{i}" for i in range(17)])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_plan_shows_is_what_the_training_does(kind: str) -> None:
    decided = plan_training(KINDS[kind], TrainingRequest("tiny", epochs=1))
    said = {path: value for path, value, _ in fields_of(decided)}
    stages: list[str] = []
    checkpoint = fit(KINDS[kind], decided.plan, callbacks=Callbacks(say=stages.append)).checkpoint
    training = checkpoint.training
    network = checkpoint.network.config
    (lstm,) = network.layers
    shape = {"hidden": lstm.units, "pooling": lstm.gives, "ngram_dim": network.ngram_dim}
    assert {f"network.{name}": f"{value}" for name, value in shape.items()}.items() <= said.items()
    for name in ("num_words", "ngram_words", "ngram_slots"):
        assert getattr(network, name) <= int(said[f"network.{name}"])
    teachers = ", ".join(teacher["name"] for teacher in training["teachers"])
    assert teachers == said["teachers"].replace("none", "")
    folds = sum(line.startswith("cross-validation") for line in stages)
    assert folds == int(said["validation.folds"])
    assert training["data"]["augmented_texts"] == int(said["augmentation.texts_per_row"])
    size = len(export(checkpoint, quantize="int8").data)
    assert size <= 1000 * int(said["max_kilobytes"])


def test_a_plan_for_other_labels_gets_one_line(trained: Trained) -> None:
    """What is no plan at all: tests/end_to_end/test_hostile_train.py."""
    file = Path("plan.json")
    for values, said in (
        ({"labels": 3, "ngram_dim": 3}, "the plan is for 3 labels, the data have 2"),
        ({"multi_label": True, "ngram_dim": 2}, "make a plan for these data"),
    ):
        plan = make_plan(DatasetStats(60, 2)).to_dict()
        plan["network"] |= values
        file.write_text(json.dumps(plan))
        assert said in train(trained.rows, "--dry-run", "--plan", file).error


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('0, "seed": 1', "a key is there twice"),
        ("NaN", "NaN is not a finite number"),
        ("1e999", "1e999 is not a finite number"),
        ("[" * 40 + "]" * 40, "nested too deep"),
    ],
)
def test_a_plan_is_read_as_strictly_as_a_model_file(
    trained: Trained, value: str, said: str
) -> None:
    """docs/file-format.md, "JSON at every door"."""
    file = Path("plan.json")
    text = json.dumps(make_plan(DatasetStats(60, 2)).to_dict())
    file.write_text(re.sub(r'"seed": \d+', f'"seed": {value}', text))
    assert said in train(trained.rows, "--dry-run", "--plan", file).error


@pytest.mark.parametrize(
    "option", ["--preset=base", "--preset=small", "--balance", "--start=m.onnx", "--seed=0"]
)
def test_what_a_plan_decides_is_refused_beside_it(trained: Trained, option: str) -> None:
    file = Path("plan.json")
    file.write_text(json.dumps(changed()))
    result = train(trained.rows, "-o", "m.safetensors", "--plan", file, option)
    assert f"--plan decides what {option.partition('=')[0]} does" in result.error


def test_a_plan_that_is_not_edited_gives_the_same_bytes() -> None:
    """Also the same test part, of which the seed decides."""
    source = write_csv("d.csv", rows(400))
    plan = Path("plan.json")
    outputs = [Path("a.safetensors"), Path("b.safetensors")]
    options = ("--preset", "tiny", "--epochs", "1", "--seed", "5", "--teacher", "none")
    plan.write_text(train(source, *options, "--dry-run", "--json").stdout)
    train(source, "-o", outputs[0], *options)
    train(source, "-o", outputs[1], "--plan", plan)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_a_reason_claims_nothing_that_was_not_measured() -> None:
    reasons = decide(DatasetStats(600, 28, multi_label=True)).reasons
    assert reasons["word_table"] == "several labels per text"
    log_alone = decide(DatasetStats(450, 3, unlabelled=900)).reasons
    assert log_alone["teachers"] == "a linear one labels the texts without labels"
