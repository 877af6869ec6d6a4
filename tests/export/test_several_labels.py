"""Texts with several labels: from a labelled file to an int8 file that gives them, and its gates."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MakeCheckpoint
from edge_lstm_export import gates
from edge_lstm_export.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.datasets import DataOptions, hold_out, read_dataset
from edge_lstm_export.datasets.dataset import make_sets, rarest
from edge_lstm_export.evaluation import count_correct, soft_cross_entropy
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.linear_part import least_loss
from edge_lstm_export.thresholds import LARGEST, UNTUNED, choose_thresholds
from edge_lstm_export.weights import round_to_int8
from train_command import run

from edge_lstm import Classifier, SeveralPrediction
from edge_lstm.errors import CheckError, DataError
from edge_lstm.evaluation.mistakes import write_mistakes
from edge_lstm.evaluation.several import evaluate_several
from edge_lstm.modelfile import parse_model
from edge_lstm.tables.labelled import Labelled, LabelledSets, read_labelled

HERE = Path("model.onnx")
LABELS = ("anger", "fear", "joy")


def write_texts(path: Path, count: int, seed: int = 0, labels: tuple[str, ...] = LABELS) -> Path:
    """A CSV of texts whose words tell each of their labels, a third of them with none."""
    rng = random.Random(seed)
    lines = ["text,labels"]
    for _ in range(count):
        own = [label for label in labels if rng.random() < 0.4]
        words = [f"{label}{rng.choice(['ful', 'ly', 'ness'])}" for label in own]
        words += [f"filler{rng.randrange(30)}" for _ in range(4)]
        rng.shuffle(words)
        lines.append(f"{' '.join(words)},{'|'.join(own)}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, test.csv, model.safetensors and model.onnx (int8)."""
    folder = tmp_path_factory.mktemp("several")
    source, test = write_texts(folder / "train.csv", 300), write_texts(folder / "test.csv", 80, seed=1)
    done = run(
        *(source, "-o", folder / "model.safetensors", "--preset", "tiny", "--epochs", "2"),
        *("--label-separator", "|", "--test", test, "--set", "keep-rows=yes"),
    )
    assert done.returncode == 0, done.stderr
    assert "test micro F1" in done.stdout
    checkpoint = load_checkpoint(folder / "model.safetensors")
    labelled = LabelledSets(["joyful filler1", "filler2"], [("joy",), ()])
    fp32 = parse_model(export_fp32(checkpoint, labelled=labelled).data, HERE)
    (folder / "model.onnx").write_bytes(quantize_int8(fp32, labelled=labelled).data)
    return folder


def test_the_file_gives_each_text_all_of_its_labels(trained: Path) -> None:
    classifier = Classifier.load(trained / "model.onnx")
    two, none = classifier.predict(["filler3 joyful filler4 angerness", "filler1 filler2 filler9"])
    assert isinstance(two, SeveralPrediction)
    assert sorted(two.labels) == ["anger", "joy"]
    assert none.labels == ()
    assert none.label in LABELS  # the most probable one all the same
    assert classifier.model.thresholds is not None
    assert load_checkpoint(trained / "model.safetensors").thresholds == classifier.model.thresholds
    assert classifier.model.onnx.metadata["edge_lstm.format"] == "3"


def test_it_goes_on_from_new_rows_with_a_new_label(trained: Path, tmp_path: Path) -> None:
    new, output = write_texts(tmp_path / "new.csv", 150, 2, (*LABELS, "grief")), tmp_path / "m.safetensors"
    done = run(new, "--from", trained / "model.safetensors", "-o", output, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "exactly right" in done.stdout and "McNemar" in done.stdout
    old, gone_on = load_checkpoint(trained / "model.safetensors"), load_checkpoint(output)
    assert gone_on.labels == (*LABELS, "grief")
    assert gone_on.thresholds is not None and len(gone_on.thresholds) == 4
    assert gone_on.training["validation"]["labels"]["grief"]["f1"] >= 0.5
    went_on = gone_on.training["going_on"]["old_test"]
    # The first training's test texts, and those of the new ones that have no new label.
    assert 80 < went_on["texts"] < 80 + 15
    assert went_on["after"] >= went_on["before"] - 0.1
    assert old.kept is not None and old.kept.rows is not None
    assert {len(own) for _, own, _ in old.kept.rows} >= {0, 1, 2}
    assert gone_on.kept is not None and gone_on.kept.rows is not None
    texts = {text: own for _, own, text in gone_on.kept.rows}
    assert all(set(texts[text]) == set(own) for _, own, text in old.kept.rows if text in texts)


def test_mistakes_are_read_back_with_all_of_their_labels(trained: Path, tmp_path: Path) -> None:
    model = parse_model((trained / "model.onnx").read_bytes(), HERE)
    texts = ["joyful filler1", "angerness joyful filler2", "filler3 fearly"]
    truth = [("fear", "joy"), ("anger", "joy"), ()]
    evaluation = evaluate_several([model], texts, truth)
    assert write_mistakes(evaluation, tmp_path / "w.csv") == 2
    with (tmp_path / "w.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert rows["1"]["label"] == "fear|joy" and rows["1"]["guess"] == "joy"
    assert rows["3"]["label"] == "" and rows["3"]["guess"] == "fear"
    probability = Classifier.from_model(model).predict([texts[2]])[0].probabilities["fear"]
    assert float(rows["3"]["probability"]) == pytest.approx(probability, abs=1e-4)
    read = read_labelled(tmp_path / "w.csv", several=True)
    assert dict(zip(read.texts, read.labels)) == {texts[0]: ("fear", "joy"), texts[2]: ()}


@pytest.mark.parametrize("labels", [2, 3, 20])
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "pooling": "mean+max"}])
def test_a_logit_and_a_sigmoid_a_label(
    make_checkpoint: MakeCheckpoint, labels: int, settings: dict[str, object]
) -> None:
    """Also with two labels, where a model of one label a text has a single logit."""
    checkpoint = make_checkpoint(labels=labels, several=True, **settings)
    exported = export_fp32(checkpoint)
    assert exported.parity is not None
    fp32 = parse_model(exported.data, HERE)
    int8 = Classifier.from_model(parse_model(quantize_int8(fp32).data, HERE))
    rows = gates.random_rows(checkpoint.tokenizer)
    wanted = gates.network_probabilities(checkpoint.network, rows)
    assert wanted.shape == (len(rows), labels)
    assert not np.allclose(wanted.sum(axis=1), 1, atol=0.01)
    assert np.abs(int8.probabilities_of(rows) - wanted).max() < 0.1
    assert int8.model.thresholds == (UNTUNED,) * labels


def test_a_checkpoint_keeps_the_thresholds(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(labels=3, several=True)
    object.__setattr__(checkpoint, "thresholds", (0.25, 0.5, 1.0))
    save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    assert load_checkpoint(tmp_path / "a.safetensors").thresholds == (0.25, 0.5, 1.0)


def test_a_file_of_one_label_says_nothing_of_several(make_checkpoint: MakeCheckpoint) -> None:
    model = parse_model(export_fp32(make_checkpoint(labels=3)).data, HERE)
    assert model.thresholds is None
    assert model.onnx.metadata["edge_lstm.format"] == "1"
    assert "edge_lstm.several" not in model.onnx.metadata
    assert "several" not in json.loads(model.onnx.metadata["edge_lstm.network"])


def test_the_gates_count_the_texts_that_int8_gives_other_labels() -> None:
    change = gates.SetsChange(texts=1000, micro_f1_before=0.5, micro_f1_after=0.5, changed=5)
    gates.check_sets(change, 0.3)
    with pytest.raises(CheckError, match="6 of 1,000 texts other labels"):
        gates.check_sets(gates.SetsChange(1000, 0.5, 0.5, 6), 0.3)
    with pytest.raises(CheckError, match=r"0\.40 points of micro F1"):
        gates.check_sets(gates.SetsChange(1000, 0.5, 0.496, 0), 0.3)


@pytest.mark.parametrize(
    ("several", "labelled"),
    [(True, Labelled(["a"], ["label0"])), (False, LabelledSets(["a"], [("label0",)]))],
)
def test_texts_of_the_other_kind_pass_no_gate(
    make_checkpoint: MakeCheckpoint, several: bool, labelled: Labelled | LabelledSets
) -> None:
    checkpoint = make_checkpoint(labels=3, several=several)
    with pytest.raises(DataError, match="a text, the model gives"):
        export_fp32(checkpoint, labelled=labelled)
    with pytest.raises(DataError, match="a text, the model gives"):
        quantize_int8(parse_model(export_fp32(checkpoint).data, HERE), labelled=labelled)


def test_the_loss_is_that_of_each_label_by_itself() -> None:
    logits, targets = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 1.0]])
    wanted = np.log(2) + np.log1p(np.exp(-2))
    assert float(soft_cross_entropy(logits, targets, several=True)) == pytest.approx(wanted, rel=1e-6)
    assert count_correct(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), targets.repeat(2, 1), several=True) == 1


def test_two_parts_are_weighed_for_each_label_by_itself() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.3
    right = np.where(truth, 2.0, -2.0).astype(np.float32) + rng.normal(0, 1, truth.shape).astype(np.float32)
    noise = rng.normal(0, 1, truth.shape).astype(np.float32)
    weights, _ = least_loss([right, noise], truth.astype(np.float32), [0.5, 0.5], several=True)
    assert weights[0] > 0.8
    assert abs(weights[1]) < 0.3


def test_a_threshold_has_the_best_f1_or_the_wanted_precision() -> None:
    truth = np.array([True] * 300 + [False] * 700)[:, None]
    probabilities = np.concatenate([np.linspace(0.3, 1, 300), np.linspace(0, 0.8, 700)])[:, None]
    (best,) = choose_thresholds(truth, probabilities.astype(np.float32))
    (sure,) = choose_thresholds(truth, probabilities.astype(np.float32), 0.99)
    given, surely = probabilities[:, 0] >= best, probabilities[:, 0] >= sure
    f1 = 2 * (given & truth[:, 0]).sum() / (given.sum() + 300)
    grid = [p >= t for t in np.linspace(0.01, 0.99, 99) for p in [probabilities[:, 0]]]
    assert f1 > max(2 * (g & truth[:, 0]).sum() / (g.sum() + 300) for g in grid) - 0.01
    assert sure > best
    assert truth[surely, 0].mean() > 0.98


def test_a_label_of_few_texts_does_not_get_the_threshold_of_chance() -> None:
    """One text of the label, which has by chance the lowest probability of all that are not near 0."""
    probabilities = np.full((500, 1), 0.001, np.float32)
    probabilities[:40, 0] = np.linspace(0.9, 0.12, 40)
    truth = np.zeros((500, 1), np.bool_)
    truth[39] = True
    (threshold,) = choose_thresholds(truth, probabilities)
    assert threshold > 0.2
    assert choose_thresholds(np.zeros((500, 1), np.bool_), probabilities) == (UNTUNED,)
    assert choose_thresholds(truth, probabilities, 0.99) == (LARGEST,)


def test_every_label_has_texts_in_both_parts() -> None:
    rng = random.Random(0)
    names = [tuple(label for label in "abcd" if rng.random() < 0.5) for _ in range(200)]
    names[7], names[90] = ("rare",), ("rare", "a")
    split = make_sets([f"text {i}" for i in range(200)], names, ("a", "b", "c", "d", "rare"), "here")
    assert split.labels[7] == split.labels[90] == 4  # the rarest
    assert set(split.labels[[not own for own in names]]) <= {5}
    rest, held = hold_out(split, 0.1, 0)
    assert rest.sets is not None and held.sets is not None
    assert rest.sets.any(axis=0).all() and held.sets.any(axis=0).all()
    assert (rarest(rest.sets[:0]) == []).all()


def test_lists_and_fasttext_need_no_option(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps({"text": f"t{i} w", "label": ["x", "y"][: i % 3]}) for i in range(30))
    )
    (tmp_path / "a.txt").write_text("\n".join(f"__label__x {'__label__y ' * (i % 2)}t{i}" for i in range(30)))
    for name in ("a.jsonl", "a.txt"):
        dataset = read_dataset(str(tmp_path / name), DataOptions(test_share=0))
        assert dataset.several
        assert dataset.labels == ("x", "y")


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("text,label\na,x;y|z\nb,x\n", {"label_separator": ";"}, "holds '|'"),
        ("text,x,y\na,1,2\n", {"label_columns": ("x", "y")}, "'y' is '2', not 0 or 1"),
        ("text,x,y\na,1,\n", {"label_columns": ("x", "y")}, "'y' is '', not 0 or 1"),
        ("text,x,y\na,1,0\n", {"label_columns": ("x", "z")}, "no column 'z'"),
        ("text,x,y\na,1,0\n", {"label_columns": ("x", "x")}, "named twice"),
        ("text,x,y\na,1,0\n", {"label_columns": ("text", "x")}, "both the text and the label"),
        ("text,x,y\na,1,0\n", {"label_columns": ("x", "y"), "label_separator": "|"}, "columns of 0 and 1"),
        ("text,label\na,\nb,\n", {"label_separator": "|"}, "no labelled row"),
        ("text,label\na,x\nb,x\n", {"label_separator": "|"}, "one label"),
        ("text,label\na,x\nb,x\n", {"label_separator": " "}, "separator is empty or blank"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, content: str, options: dict[str, object], expected: str
) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=expected):
        read_dataset(str(tmp_path / "a.csv"), DataOptions(**options))  # type: ignore[arg-type]


def test_an_unknown_label_of_the_test_file_is_named(tmp_path: Path) -> None:
    source = write_texts(tmp_path / "a.csv", 40)
    (tmp_path / "test.csv").write_text("text,labels\nx,joy|boredom\n")
    with pytest.raises(DataError, match="boredom"):
        read_dataset(str(source), DataOptions(label_separator="|", test=tmp_path / "test.csv"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--teacher", "nb-svm"),
        ("--suspects", "s.csv"),
        ("--set", "precision=0"),
        ("--set", "pairs=100"),
        ("--set", "made-texts=2"),
    ],
)
def test_what_is_for_one_label_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    source = write_texts(tmp_path / "a.csv", 40)
    done = run(source, "-o", tmp_path / "m.safetensors", "--label-separator", "|", *arguments)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "m.safetensors").exists()


def test_precision_is_for_several_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "\n".join(f"w{i} x,{'ab'[i % 2]}" for i in range(40)))
    done = run(tmp_path / "a.csv", "-o", tmp_path / "m.safetensors", "--set", "precision=0.9")
    assert done.returncode == 1
    assert "precision is for several" in done.stderr


def test_the_checkpoint_says_how_good_it_is(trained: Path) -> None:
    training = load_checkpoint(trained / "model.safetensors").training
    assert training["validation"]["micro_f1"] > 0.9
    assert training["test"]["macro_f1"] > 0.9
    assert set(training["data"]["train_texts"]) == set(LABELS)


def test_weights_lie_where_int8_has_values(trained: Path, make_checkpoint: MakeCheckpoint) -> None:
    """So that fp32 and int8 differ by activations only, and give the same labels."""
    network = load_checkpoint(trained / "model.safetensors").network
    kept = {name: value.copy() for name, value in network.weights().items()}
    round_to_int8(network)
    for name, value in network.weights().items():
        assert np.allclose(value, kept[name], rtol=1e-6, atol=0), name
    network = make_checkpoint(labels=3, several=True, bidirectional=True).network
    before = {name: value.copy() for name, value in network.weights().items()}
    round_to_int8(network)
    for name, value in network.weights().items():
        is_weight = name.startswith(("embedding", "lstm")) and "bias" not in name
        assert np.array_equal(value, before[name]) != is_weight, name
        assert np.abs(value - before[name]).max() <= 0.51 * np.abs(before[name]).max() / 64, name
