"""The gates: what must hold before a model file is written. Each raises CheckError where it does not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError
from edge_lstm.metrics import set_scores
from edge_lstm.text import FIRST_WORD_ID, START_ID, Tokenizer, to_matrix
from edge_lstm_export.network import Network

PARITY_TOLERANCE = 1e-5
# Hundreds of random ids hold n-grams whose vectors nearly cancel out, and with many labels logits are large:
# on such rows PyTorch itself is 5e-5 from float64, and more, and ONNX Runtime adds up in another order.
NGRAM_PARITY_TOLERANCE = 2e-4
# Of PyTorch, that ONNX Runtime may be away from it, where that is more: an LSTM of 62 units that trec6
# taught was 1.3e-5 from float64 on one of our own reviews, ONNX Runtime 4e-6.
TIMES_OWN_ERROR = 8
# Their tanh and sigmoid are up to 5.4e-7 off, here and there above 1 (1.16.3 and 1.32, AVX2: all float32 from
# 0.5 to 30). The embedded model has 0.017.
LEAST_HEADROOM = 2e-6
MOST_OTHER_LABELS = 0.005  # of the texts, whose labels int8 may change where a text may have several
BATCH_SIZES = (2, 7, 16, 64)  # beside every row alone
Probabilities = npt.NDArray[np.float32]
Rows = list[list[int]]
_FP32_OR_AGAIN = "keep the fp32 file, or train with a smaller --learning-rate"


@dataclass(frozen=True)
class Agreement:
    """Two models' answers to the same texts.

    mean_difference, max_difference: of the probabilities; changed: texts whose label differs, of texts.
    """

    texts: int
    mean_difference: float
    max_difference: float
    changed: int


@dataclass(frozen=True)
class AccuracyChange:
    """Accuracy of two models on the same labelled texts, and the difference with its 95 % interval, all
    as fractions (0.01 = one percentage point)."""

    texts: int
    before: float
    after: float
    low: float
    high: float

    @property
    def drop(self) -> float:
        """before - after: positive where accuracy was lost."""
        return self.before - self.after


@dataclass(frozen=True)
class SetsChange:
    """Micro F1 of two models that give several labels, on the same texts, from 0 to 1; changed: texts that
    they give other labels."""

    texts: int
    micro_f1_before: float
    micro_f1_after: float
    changed: int


def random_rows(tokenizer: Tokenizer, *, seed: int = 0) -> Rows:
    """Token ids that try the graph: lengths 1, 2, N - 1, N and one cut from N + 1, and some between."""
    rng = np.random.default_rng(seed)
    length = tokenizer.length
    lengths = sorted(
        {1, min(2, length), max(1, length - 1), length, *rng.integers(1, length + 1, size=11).tolist()}
    )
    rows = [[START_ID, *_random_ids(rng, tokenizer, n - 1)] for n in lengths]
    rows.append([START_ID, *_random_ids(rng, tokenizer, length)][-length:])  # a text of N + 1 tokens
    return rows


def _random_ids(rng: np.random.Generator, tokenizer: Tokenizer, n: int) -> list[int]:
    lowest = FIRST_WORD_ID if tokenizer.oov_id is None else tokenizer.oov_id
    ids: list[int] = rng.integers(lowest, max(tokenizer.num_ids, lowest + 1), size=n).tolist()
    return ids


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
    """PyTorch and ONNX Runtime on the same token ids → largest difference of a probability.

    Raises CheckError above PARITY_TOLERANCE, of a network with n-grams NGRAM_PARITY_TOLERANCE, or a few
    times what PyTorch's own float32 is away from float64 on these rows, where that is more.
    """
    most = NGRAM_PARITY_TOLERANCE if network.config.ngrams else PARITY_TOLERANCE
    wanted = network_probabilities(network, rows)
    worst = float(np.abs(wanted - classifier.probabilities_of(rows)).max())
    if worst > most:
        exact = network_probabilities(copy.deepcopy(network).double(), rows)
        most = max(most, TIMES_OWN_ERROR * float(np.abs(wanted - exact).max()))
    if not worst <= most:  # written so that NaN fails
        raise CheckError(
            f"ONNX Runtime and PyTorch differ by {worst:.2e}, more than {most:.0e}; no file was written"
        )
    return worst


def network_probabilities(network: Network, rows: Rows, *, batch_size: int = 64) -> Probabilities:
    """PyTorch's probabilities for token ids: float32 [n, labels]."""
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            lengths = torch.tensor([len(row) for row in batch])
            ids = torch.zeros(len(batch), int(lengths.max()), dtype=torch.int64)
            for i, row in enumerate(batch):
                ids[i, : len(row)] = torch.tensor(row)
            parts.append(network.probabilities(network(ids, lengths)).numpy())
    return np.concatenate(parts)


def check_batches(classifier: Classifier, rows: Rows, *, seed: int = 0) -> int:
    """Every row alone and in shuffled batches: the same bits, or CheckError. → comparisons made.

    A file with a fixed batch has only one way to run.
    """
    if classifier.model.batch is not None:
        return 0
    alone = classifier.probabilities_of(rows, batch_size=1)
    rng = np.random.default_rng(seed)
    for size in BATCH_SIZES:
        order = rng.permutation(len(rows))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            together = classifier.probabilities_of([rows[i] for i in chosen], batch_size=size)
            if not np.array_equal(together, alone[chosen]):
                raise CheckError(
                    f"a text's probabilities change by {np.abs(together - alone[chosen]).max():.1e} "
                    f"in a batch of {size}; no file was written: {_FP32_OR_AGAIN}"
                )
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
    graph.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in layers
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    least = 2.0
    for row in rows:
        inputs = {session.get_inputs()[0].name: to_matrix([row], length)}
        for outputs in session.run(layers, inputs):  # T, D, 1, H
            size = np.abs(outputs[: len(row), :, 0])
            least = min(least, float((size[..., -2:].min(axis=-1) - size[..., :-2].max(axis=-1)).min()))
    if not least >= LEAST_HEADROOM:
        raise CheckError(
            "the LSTM's units are driven to their ends, where an answer may depend on its batch; no file "
            f"was written: {_FP32_OR_AGAIN}"
        )
    return least


def agreement(models: Sequence[Classifier], before: Probabilities, after: Probabilities) -> Agreement:
    """Two models and their probabilities (float32 [n, labels]) for the same texts → how far they agree."""
    difference = np.abs(before.astype(np.float64) - after)
    changed = _changed(models, before, after)
    return Agreement(len(before), float(difference.mean()), float(difference.max()), changed)


def _changed(models: Sequence[Classifier], before: Probabilities, after: Probabilities) -> int:
    """Texts that the two models give other labels."""
    first, second = (model.has_labels(answers) for model, answers in zip(models, (before, after)))
    return int((first != second).any(axis=1).sum())


def sets_change(
    models: Sequence[Classifier],
    before: Probabilities,
    after: Probabilities,
    truth: npt.NDArray[np.bool_],
) -> SetsChange:
    """Of two models that give several labels. truth: bool [n, labels]."""
    names = models[0].labels
    first, second = (set_scores(truth, m.has_labels(a), names) for m, a in zip(models, (before, after)))
    return SetsChange(len(truth), first.micro_f1, second.micro_f1, _changed(models, before, after))


def check_sets(change: SetsChange, max_drop: float) -> None:
    """CheckError where micro F1 fell by more than ``max_drop`` points, or too many texts get other labels:
    more than MOST_OTHER_LABELS of them, and more than one."""
    drop = (change.micro_f1_before - change.micro_f1_after) * 100
    if drop > max_drop:
        raise CheckError(
            f"int8 loses {drop:.2f} points of micro F1 ({change.micro_f1_before * 100:.2f} % → "
            f"{change.micro_f1_after * 100:.2f} % on {change.texts:,} texts), more than --max-drop "
            f"{max_drop:g}; no file was written"
        )
    if change.changed > max(1, MOST_OTHER_LABELS * change.texts):
        raise CheckError(
            f"int8 gives {change.changed:,} of {change.texts:,} texts other labels than fp32, more than "
            f"{MOST_OTHER_LABELS:.1%}; no file was written: keep the fp32 file, or train again"
        )


def accuracy_change(
    before: Probabilities, after: Probabilities, truth: npt.NDArray[np.int64]
) -> AccuracyChange:
    """Accuracies on the same texts and the paired difference with its 95 % normal interval.

    truth: int64 [n], indices of the right labels. The interval is Wald's for a difference of paired
    proportions (Agresti, Categorical Data Analysis, 3rd ed., section 11.1.1).
    """
    right_before, right_after = before.argmax(axis=1) == truth, after.argmax(axis=1) == truth
    n = len(truth)
    gained, lost = float((right_after & ~right_before).mean()), float((right_before & ~right_after).mean())
    change = gained - lost
    half = 1.96 * float(np.sqrt(max(gained + lost - change**2, 0.0) / n))
    return AccuracyChange(
        n, float(right_before.mean()), float(right_after.mean()), change - half, change + half
    )


def check_accuracy(change: AccuracyChange, max_drop: float) -> None:
    """CheckError where accuracy fell by more than ``max_drop`` percentage points."""
    if change.drop * 100 > max_drop:
        one = 100 / change.texts
        few = f" (one text is {one:.2f} points: give more --data, or --max-drop {2 * one:.1f})"
        raise CheckError(
            f"int8 loses {change.drop * 100:.2f} points of accuracy ({change.before * 100:.2f} % → "
            f"{change.after * 100:.2f} % on {change.texts:,} texts), more than --max-drop {max_drop:g}; "
            f"no file was written{few if one > max_drop else ''}"
        )
