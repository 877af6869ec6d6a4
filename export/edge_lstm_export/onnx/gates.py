"""The gates: what must hold before a model file is written. Each raises CheckError where it does not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError
from edge_lstm.metrics import Interval, paired_difference_interval, set_scores
from edge_lstm.text import OOV_ID, START_ID, Tokenizer, to_matrix
from edge_lstm_export.train.data import Bools, Floats
from edge_lstm_export.train.loop import predict_probabilities
from edge_lstm_export.train.network import Network

PARITY_TOLERANCE = 1e-5
# Hundreds of random ids hold n-grams whose vectors nearly cancel out, and many labels have large logits:
# there PyTorch itself is away from float64, and ONNX Runtime adds up in another order.
NGRAM_PARITY_TOLERANCE = 2e-4
# Of PyTorch's own distance from float64, so many times may ONNX Runtime be away from it, where that is more.
TIMES_OWN_ERROR = 100  # of hundreds of random words an LSTM makes more of one rounding than of another
LEAST_HEADROOM = 2e-6  # above the error of ONNX Runtime's tanh and sigmoid, which are here and there above 1
MOST_OTHER_LABELS = 0.005  # of the texts, whose labels int8 may change where a text may have several
BATCH_SIZES = (2, 7, 16, 64)  # beside every row alone
Rows = list[list[int]]
_INSTEAD = "no file was written: export without --quantize, or"
_SLOWER = "train with a lower learning_rate in the plan"


@dataclass(frozen=True)
class AccuracyChange:
    """Accuracy (of several labels per text micro F1) of two models on the same labelled texts, 0 to 1.
    interval: of the difference of accuracies; None of micro F1."""

    metric: str
    before: float
    after: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Comparison:
    """Two models' answers to the same texts: how far probabilities differ at most, and of how many texts
    (changed) the labels do. accuracy: None without labelled texts."""

    texts: int
    max_difference: float
    changed: int
    accuracy: AccuracyChange | None = None


def random_rows(tokenizer: Tokenizer, *, seed: int = 0) -> Rows:
    """Token ids that try the graph: lengths 1, 2, N - 1, N and one cut from N + 1, and some between."""
    rng, n = np.random.default_rng(seed), tokenizer.length
    sizes = [*sorted({1, min(2, n), max(1, n - 1), n, *rng.integers(1, n + 1, size=11).tolist()}), n + 1]
    ids = [rng.integers(OOV_ID, tokenizer.num_ids, size=size - 1).tolist() for size in sizes]
    return [[START_ID, *row][-n:] for row in ids]


def text_rows(tokenizer: Tokenizer, texts: Sequence[str]) -> Rows:
    """Token ids of real texts."""
    return [tokenizer.encode_text(text).ids for text in texts]


def check_structure(model: bytes) -> None:
    """The onnx package's checker with full shape inference."""
    try:
        onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckError(f"the exported graph is not valid ONNX: {str(error).splitlines()[0]}") from error


def check_parity(network: Network, classifier: Classifier, rows: Rows) -> float:
    """PyTorch and ONNX Runtime on the same token ids → largest difference of a probability. CheckError above
    PARITY_TOLERANCE, of a network with n-grams NGRAM_PARITY_TOLERANCE, or TIMES_OWN_ERROR times what
    PyTorch's own float32 is away from float64 on the same row, where that is more."""
    most = NGRAM_PARITY_TOLERANCE if network.config.ngrams else PARITY_TOLERANCE
    expected = predict_probabilities(network, rows)
    apart = np.abs(expected - classifier.probabilities_of(rows)).max(axis=1)
    if not apart.max() <= most:  # written so that NaN fails
        exact = predict_probabilities(copy.deepcopy(network).double(), rows)
        allowed = np.maximum(most, TIMES_OWN_ERROR * np.abs(expected - exact).max(axis=1))
        row = int((apart <= allowed).argmin())
        if not apart[row] <= allowed[row]:
            differ = f"ONNX Runtime and PyTorch differ by {apart[row]:.2e}, more than {allowed[row]:.2e}"
            raise CheckError(f"{differ}; no file was written")
    return float(apart.max())


def check_batches(classifier: Classifier, rows: Rows, *, seed: int = 0) -> int:
    """Every row alone and in shuffled batches: the same bits, or CheckError. → comparisons made."""
    alone = classifier.probabilities_of(rows, batch_size=1)
    rng = np.random.default_rng(seed)
    for size in BATCH_SIZES:
        order = rng.permutation(len(rows))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            together = classifier.probabilities_of([rows[i] for i in chosen], batch_size=size)
            if not np.array_equal(together, alone[chosen]):
                change = f"{np.abs(together - alone[chosen]).max():.1e} in a batch of {size}"
                raise CheckError(f"batching changes a probability by {change}; {_INSTEAD} {_SLOWER}")
    return len(rows) * len(BATCH_SIZES)


def check_headroom(model: bytes, rows: Rows, length: int) -> float:
    """How far below its sentinels each unit of an int8 file's LSTMs stays: the least of all rows, steps and
    units, 2 at most. rows: token ids, at most ``length`` of each.

    Raises CheckError below LEAST_HEADROOM. Then a batch may have another range than a text alone, though
    those that :func:`check_batches` tried do not show it: a diverged training drives cells to where ONNX
    Runtime's tanh and sigmoid say 1.0000002, and the sentinels' is 1.
    """
    graph = onnx.load_model_from_string(model)
    layers = [node.output[0] for node in graph.graph.node if node.op_type == "DynamicQuantizeLSTM"]
    kind = onnx.TensorProto.FLOAT
    graph.graph.output.extend(onnx.helper.make_tensor_value_info(name, kind, None) for name in layers)
    options, data = onnxruntime.SessionOptions(), graph.SerializeToString()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    least = 2.0
    for row in rows:
        inputs = {session.get_inputs()[0].name: to_matrix([row], length)}
        for outputs in session.run(layers, inputs):  # T, D, 1, H
            size = np.abs(outputs[: len(row), :, 0])
            room = size[..., -2:].min(axis=-1) - size[..., :-2].max(axis=-1)
            least = float(np.minimum(least, room.min()))  # NaN stays NaN, and fails
    if not least >= LEAST_HEADROOM:
        ends = "the LSTM saturates, so that an answer may depend on its batch"
        raise CheckError(f"{ends}; {_INSTEAD} {_SLOWER}")
    return least


def compare(model: Classifier, before: Floats, after: Floats, truth: Bools | None) -> Comparison:
    """Return how far two models agree, given their probabilities (float32 [n, labels]) for the same texts.
    model: either of the two, whose thresholds are the same. truth: bool [n, labels]."""
    most = float(np.abs(before.astype(np.float64) - after).max())
    labels = model.has_labels(before), model.has_labels(after)
    changed, accuracy = int((labels[0] != labels[1]).any(axis=1).sum()), None
    if truth is not None and model.model.thresholds is not None:
        old_f1, new_f1 = (set_scores(truth, has, model.labels).micro_f1 for has in labels)
        accuracy = AccuracyChange("micro F1", old_f1, new_f1)
    elif truth is not None:
        old, new = ((has & truth).any(axis=1) for has in labels)
        interval = paired_difference_interval(int((old & ~new).sum()), int((new & ~old).sum()), len(truth))
        accuracy = AccuracyChange("accuracy", float(old.mean()), float(new.mean()), interval)
    return Comparison(len(before), most, changed, accuracy)


def check_accuracy(comparison: Comparison, max_drop: float) -> None:
    """Raise CheckError where the metric fell by more than ``max_drop`` points, or, of several labels per
    text, more than one text, and more than MOST_OTHER_LABELS of them, get other labels."""
    change = comparison.accuracy
    if change is None:
        return
    drop, texts = (change.before - change.after) * 100, f"{comparison.texts:,} texts"
    if drop > max_drop:
        lost = f"int8 loses {drop:.2f} points of {change.metric} ({change.before * 100:.2f} % → "
        lost += f"{change.after * 100:.2f} % on {texts}), more than --max-drop {max_drop:g}"
        step = 100 / comparison.texts
        few = f"give more --data (one text is {step:.2f} points), or --max-drop {2 * step:.1f}"
        raise CheckError(f"{lost}; {_INSTEAD} {few if step > max_drop else 'give a higher --max-drop'}")
    if change.interval is None and comparison.changed > max(1, MOST_OTHER_LABELS * comparison.texts):
        other = f"int8 changes the labels of {comparison.changed:,} of {texts}"
        raise CheckError(f"{other}, more than {MOST_OTHER_LABELS:.1%}; {_INSTEAD} train again")
