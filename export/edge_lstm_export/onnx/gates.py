"""The gates: what must hold before a model file is written.

Each raises CheckError if it does not.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from scipy.stats import beta, binom

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.decide import apply_thresholds
from edge_lstm.core.modelfile import INPUT_NAME
from edge_lstm.core.text import to_matrix
from edge_lstm.errors import CheckError
from edge_lstm.metrics import set_scores
from edge_lstm_export.arrays import Bools, Floats
from edge_lstm_export.network import Network, Rows, predict_probabilities
from edge_lstm_export.onnx.weights import SENTINELS

PARITY_TOLERANCE = 1e-5
# Hundreds of random ids hold n-grams whose vectors nearly cancel out, and many labels have large
# logits: there PyTorch itself is away from float64, and ONNX Runtime adds up in another order.
NGRAM_PARITY_TOLERANCE = 2e-4
# How many times the error that rounding alone makes ONNX Runtime may be away from PyTorch: of
# hundreds of random words an LSTM makes more of one rounding than of another.
TIMES_ROUNDING_ERROR = 100
# Networks with rounded weights that are asked for that error. An LSTM can have two states that a
# long row of random words leads to, and rounding decides between them: some of these see both.
ROUNDED_NETWORKS = 16
# Above the error of ONNX Runtime's tanh and sigmoid, which exceed 1 for some values.
LEAST_HEADROOM = 2e-6
# Share of texts whose labels int8 may change, if a text may have several.
MOST_OTHER_LABELS = 0.005
# The same of a network that was trained elsewhere, by its one label per text.
MOST_MOVED_LABELS = 0.004
SIGNIFICANT = 0.05  # a p-value up to which a loss is not put down to chance
ROUNDING = 1e-9  # percentage points that two equal drops may differ by
BOUND_FAILS = 0.01  # the part of it that a confidence bound may take, see p_value_of_drop
BATCH_SIZES = (2, 7, 16, 64)  # each compared with every row alone
MICRO_F1 = "micro F1"  # the metric of texts that may have several labels
_INSTEAD = "no file was written: export without --quantize, or"
_SLOWER = "train with a lower learning_rate in the plan"


@dataclass(frozen=True)
class AccuracyChange:
    """Accuracy of two models on the same labelled texts, 0 to 1.

    If a text may have several labels, it is micro F1.

    lost, gained: texts of which the second model gives more, or fewer, labels wrongly than the
        first.
    p_value: of no more loss than is allowed, see :func:`p_value_of_drop`.
    within_chance: whether more is lost, but so little that it may be chance.
    """

    metric: str
    before: float
    after: float
    lost: int
    gained: int
    p_value: float
    within_chance: bool


@dataclass(frozen=True)
class Comparison:
    """Two models' answers to the same texts.

    max_difference: of any probability. changed: texts whose labels differ.

    accuracy: None without labelled texts.
    """

    texts: int
    max_difference: float
    changed: int
    accuracy: AccuracyChange | None = None


def check_parity(network: Network, classifier: Classifier, rows: Rows) -> float:
    """Return the largest difference of a probability between PyTorch and ONNX Runtime.

    Both get the same token ids.

    Raise CheckError above PARITY_TOLERANCE, of a network with n-grams NGRAM_PARITY_TOLERANCE, or
    TIMES_ROUNDING_ERROR times the row's :func:`rounding_errors`, if that is more.
    """
    most = NGRAM_PARITY_TOLERANCE if network.config.ngrams else PARITY_TOLERANCE
    expected = predict_probabilities(network, rows)
    if not np.isfinite(expected).all():
        raise CheckError(
            "the network's answers are not finite numbers; no file was written: train it again"
        )
    apart = np.abs(expected - classifier.probabilities_of(rows)).max(axis=1)
    if not apart.max() <= most:  # written so that NaN fails
        far = np.flatnonzero(~(apart <= most))
        errors = rounding_errors(network, [rows[i] for i in far], expected[far])
        allowed = np.maximum(most, TIMES_ROUNDING_ERROR * errors)
        for difference, limit in zip(apart[far].tolist(), allowed.tolist()):
            if not difference <= limit:
                raise CheckError(
                    f"ONNX Runtime and PyTorch differ by {difference:.2e}, more than {limit:.2e}; "
                    "no file was written"
                )
    return float(apart.max())


def rounding_errors(network: Network, rows: Rows, probabilities: Floats) -> Floats:
    """Return how far rounding alone moves a row's probabilities: float64 [rows].

    It is the largest distance from the answers in float64, of the network's own answers in float32
    and of ROUNDED_NETWORKS networks in float64 whose weights are off by up to a float32 rounding.

    probabilities: [rows, labels], the answers in float32.
    """
    exact = predict_probabilities(copy.deepcopy(network).double(), rows)
    errors = np.abs(probabilities - exact).max(axis=1)
    random = torch.Generator().manual_seed(0)
    for _ in range(ROUNDED_NETWORKS):
        rounded = copy.deepcopy(network).double()
        with torch.no_grad():
            for weights in rounded.parameters():
                moved = torch.rand(weights.shape, generator=random, dtype=weights.dtype) * 2 - 1
                # The most that a float32 is rounded by.
                weights.mul_(1 + 2.0**-24 * moved)
        distance = np.abs(predict_probabilities(rounded, rows) - exact).max(axis=1)
        errors = np.maximum(errors, distance)
    return np.asarray(errors)


def check_batches(classifier: Classifier, rows: Rows) -> int:
    """Every row alone and in shuffled batches: the same bits, or CheckError. → comparisons made."""
    alone = classifier.probabilities_of(rows, batch_size=1)
    rng = np.random.default_rng(0)
    for size in BATCH_SIZES:
        order = rng.permutation(len(rows))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            together = classifier.probabilities_of([rows[i] for i in chosen], batch_size=size)
            if not np.array_equal(together, alone[chosen]):
                change = f"{np.abs(together - alone[chosen]).max():.1e} in a batch of {size}"
                raise CheckError(
                    f"batching changes a probability by {change}; {_INSTEAD} {_SLOWER}"
                )
    return len(rows) * len(BATCH_SIZES)


def headroom(model: bytes, rows: Rows, length: int) -> list[Floats]:
    """Return how far below its sentinels each unit of an int8 file's LSTMs stays.

    For each LSTM float32 [directions, units], the least of all rows and steps, 2 at most.

    rows: token ids, at most ``length`` of each.

    Below LEAST_HEADROOM a batch may have another range than a text alone, though the batches of
    :func:`check_batches` do not show it: ONNX Runtime's tanh and sigmoid give 1.0000002 here and
    there, and the sentinels' is 1.

    Raise CheckError if an output is not a finite number.
    """
    graph = onnx.load_model_from_string(model)
    layers = [node.output[0] for node in graph.graph.node if node.op_type == "DynamicQuantizeLSTM"]
    if not layers:
        return []
    for name in layers:
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    session = _session(graph.SerializeToString(), onnxruntime.SessionOptions())
    of_rows = []
    for row in rows:
        rooms = []
        for outputs in session.run(layers, {INPUT_NAME: to_matrix([row], length)}):  # T, D, 1, H
            size = np.abs(outputs[:, :, 0])
            ends = size[..., -SENTINELS:].min(axis=-1, keepdims=True)
            # A step that is not run gives zeros, of the sentinels too.
            rooms.append(np.where(ends > 0, ends - size[..., :-SENTINELS], 2).min(axis=0))
        of_rows.append(rooms)
    least = [np.min(rooms, axis=0) for rooms in zip(*of_rows)]
    if not all(np.isfinite(room).all() for room in least):
        raise CheckError(f"the LSTM's outputs in int8 are not finite numbers; {_INSTEAD} {_SLOWER}")
    return least


def _session(data: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def check_folding(classifier: Classifier, rows: Rows) -> None:
    """Check that a graph answers as ONNX Runtime's optimization of it does.

    When ONNX Runtime loads a file, it computes the tables once that a run without optimization
    computes each time. rows: token ids.
    Raises CheckError if not.
    """
    model = classifier.model
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = _session(model.data, options)
    for row, folded in zip(rows, classifier.probabilities_of(rows, batch_size=1)):
        inputs = {INPUT_NAME: to_matrix([row], model.tokenizer.length)}
        (answer,) = session.run(None, inputs)
        difference = float(np.abs(answer[0] - folded).max())
        # Where optimization joins operators, floats are added in another order.
        if not difference <= 1e-5:
            raise CheckError(
                f"ONNX Runtime's optimization changes a probability by {difference:.2e}; "
                "no file was written: use another version of onnxruntime"
            )


def compare_answers(
    model: Classifier, before: Floats, after: Floats, truth: Bools | None, max_drop: float
) -> Comparison:
    """Return how far two models agree.

    The probabilities, float32 [n, labels], are for the same texts.

    model: either of the two, whose thresholds are the same.
    truth: bool [n, labels].
    max_drop: the percentage points that the second may lose.
    """
    most = float(np.abs(before.astype(np.float64) - after).max())
    first = apply_thresholds(before, model.model.thresholds)
    second = apply_thresholds(after, model.model.thresholds)
    changed = int((first != second).any(axis=1).sum())
    accuracy = None
    if truth is not None:
        errors = (second != truth).sum(axis=1) - (first != truth).sum(axis=1)  # more of each text
        lost = int((errors > 0).sum())
        gained = int((errors < 0).sum())
        p_value = p_value_of_drop(lost, gained, len(truth), max_drop / 100)
        # With one label per text, micro F1 is the accuracy.
        old = set_scores(truth, first, model.labels).micro_f1
        new = set_scores(truth, second, model.labels).micro_f1
        metric = "accuracy" if model.model.thresholds is None else MICRO_F1
        within_chance = (old - new) * 100 > max_drop + ROUNDING and p_value > SIGNIFICANT
        accuracy = AccuracyChange(metric, old, new, lost, gained, p_value, within_chance)
    return Comparison(len(before), most, changed, accuracy)


def p_value_of_drop(lost: int, gained: int, texts: int, allowed: float) -> float:
    """Return an exact one-sided p-value of lost texts.

    It is the probability of this many or more if the share of lost texts exceeds the share of
    gained ones by no more than ``allowed``.

    lost, gained: numbers of texts, out of ``texts``, that only the first or only the second of two
        models answers right.
    allowed: 0 to 1.

    With ``allowed`` 0 it is McNemar's exact test (McNemar, 1947, Psychometrika 12: 153-157): of the
    texts on which the models differ, each is lost with a chance of 1/2. Otherwise that chance is at
    most (d + allowed) / 2d, where d is the share of texts on which they differ. This is largest for
    the least d, so the p-value is taken at the lower confidence bound of d (Clopper & Pearson,
    1934, Biometrika 26: 404-413), and what that bound may fail by is added (Berger & Boos, 1994,
    JASA 89: 1012-1016). Nothing is approximated, so it holds for two texts as for thousands.
    """
    differ = lost + gained
    if differ == 0 or allowed >= 1:
        return 1.0
    if allowed == 0:
        return float(binom.sf(lost - 1, differ, 0.5))
    least = max(allowed, float(beta.ppf(BOUND_FAILS, differ, texts - differ + 1)))
    chance = (least + allowed) / (2 * least)
    return min(1.0, float(binom.sf(lost - 1, differ, chance)) + BOUND_FAILS)


def check_labels(comparison: Comparison, max_drop: float) -> None:
    """Check that int8 changes no more labels of an imported network than it may.

    It may change MOST_MOVED_LABELS of the texts, or ``max_drop`` points if that is more, and as
    many more as chance explains.
    Raises CheckError if not.
    """
    allowed = max(MOST_MOVED_LABELS, max_drop / 100)
    moved = comparison.changed
    if float(binom.sf(moved - 1, comparison.texts, min(1, allowed))) <= SIGNIFICANT:
        kept = f"the label of {comparison.texts - moved:,} of {comparison.texts:,} texts"
        raise CheckError(
            f"int8 keeps {kept}, fewer than {1 - allowed:.1%}; no file was written: ship fp32, "
            "export without --quantize, or give a higher --max-drop"
        )


def check_accuracy(comparison: Comparison, max_drop: float) -> None:
    """Check that a file loses no more accuracy than is allowed, or than chance explains.

    The limits are ``max_drop`` points of the metric and, if a text may have several labels,
    MOST_OTHER_LABELS of the texts with other labels.
    Raises CheckError if not.
    """
    change = comparison.accuracy
    texts = comparison.texts
    if change is None:
        return
    drop = (change.before - change.after) * 100
    if drop > max_drop + ROUNDING and not change.within_chance:
        raise CheckError(
            f"int8 loses {drop:.2f} points of {change.metric} ({change.before * 100:.2f} % → "
            f"{change.after * 100:.2f} %; {change.lost:,} of {texts:,} texts lost, "
            f"{change.gained:,} gained), more than --max-drop {max_drop:g}; {_INSTEAD} give a "
            "higher --max-drop"
        )
    by_chance = float(binom.sf(comparison.changed - 1, texts, MOST_OTHER_LABELS))
    if change.metric == MICRO_F1 and by_chance <= SIGNIFICANT:
        raise CheckError(
            f"int8 changes the labels of {comparison.changed:,} of {texts:,} texts, more than "
            f"{MOST_OTHER_LABELS:.1%}; {_INSTEAD} train again"
        )
