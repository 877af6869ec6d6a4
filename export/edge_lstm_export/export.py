"""Checkpoint → model file, and fp32 model file → int8 model file, through every gate.

A file is written only after all gates passed, and appears under its name only when complete.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from edge_lstm.answering import RiskCoverage
from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError, DataError
from edge_lstm.evaluation.several import truth_of_sets
from edge_lstm.latency.statistics import Ratio, paired_ratio
from edge_lstm.model_checks import MAX_LENGTH, GoldenRow
from edge_lstm.modelfile import ModelFile, parse_model
from edge_lstm.models import embedded_reviews
from edge_lstm.tables.labelled import Labelled, LabelledSets
from edge_lstm.text import Tokenizer, texts_digest
from edge_lstm_export import gates, graph, quantization
from edge_lstm_export.checkpoint import Checkpoint
from edge_lstm_export.network import NetworkConfig
from edge_lstm_export.weights import read_weights, weights_from_network

DATA_OF_EXPORT = "--data of the export"  # of a risk-coverage curve
TIMED_TEXTS = 100  # each TIMED_ROUNDS times on both models: half a second for reviews
FEWEST_TIMED = 40  # fewer texts are timed over and over
TIMED_ROUNDS = 6  # without the first, which brings the text into the caches
# Two runs of the same file differ by a few percent on a shared machine, and a tenth of a short text's time is
# a few µs: no reason to ship thrice the bytes, and answers whose bits differ from CPU to CPU.
TIE = 1.1


@dataclass(frozen=True)
class Exported:
    """What an export made and what its gates found.

    data: the file's bytes; parity: largest |PyTorch - ONNX Runtime| (None where int8 came from a file).
    """

    data: bytes
    parity: float | None


@dataclass(frozen=True)
class Quantized:
    """An int8 file and how it compares with its fp32 origin.

    bytes_before, bytes_after: file sizes; micros_before, micros_after: median time per text at batch 1
    on one thread, in µs; time_ratio: how many times as long int8 takes for a text; accuracy: None without
    labelled data.
    """

    data: bytes
    bytes_before: int
    bytes_after: int
    agreement: gates.Agreement
    batch_comparisons: int
    accuracy: gates.AccuracyChange | gates.SetsChange | None
    micros_before: float
    micros_after: float
    time_ratio: Ratio

    def choice(self) -> Choice:
        """The faster of the two files on this CPU. Where neither is faster by more than TIE with 95 %
        confidence, the smaller one."""
        ratio = self.time_ratio
        if ratio.low > TIE:
            return Choice("fp32", f"the faster one on this CPU (int8 takes {_times(ratio)})")
        faster = Ratio(1 / ratio.value, 1 / ratio.high, 1 / ratio.low)
        if faster.low > TIE:
            return Choice("int8", f"the faster one on this CPU (fp32 takes {_times(faster)})")
        smaller: Literal["fp32", "int8"] = "int8" if self.bytes_after < self.bytes_before else "fp32"
        return Choice(smaller, f"the smaller one, no large difference here (int8 takes {_times(ratio)})")


@dataclass(frozen=True)
class Choice:
    """Which of an fp32 and an int8 file to take, and why, in words."""

    precision: Literal["fp32", "int8"]
    reason: str


def _times(ratio: Ratio) -> str:
    return f"{ratio.value:.2f} times as long, 95 %: {ratio.low:.2f} to {ratio.high:.2f}"


def export_fp32(
    checkpoint: Checkpoint,
    *,
    length: int | None = None,
    batch: int | None = None,
    opset: int = graph.DEFAULT_OPSET,
    labelled: Labelled | LabelledSets | None = None,
    abstain: float | None = None,
) -> Exported:
    """A checkpoint → an fp32 model file that answers as PyTorch does.

    length: columns of the input (default: the checkpoint's); batch: None for a free batch, or 1.
    labelled: texts that the network did not learn from; where there are any, the file's risk-coverage curve
    is of them, not the checkpoint's. abstain: the file's default, see RiskCoverage.
    Raises DataError for an option out of range, CheckError where a gate fails.
    """
    if batch not in (None, 1):
        raise DataError(f"the batch is free or 1, not {batch}; leave --batch out, or give --batch 1")
    if not graph.MIN_OPSET <= opset <= graph.MAX_OPSET:
        raise DataError(
            f"opset {opset} is not supported; give one from {graph.MIN_OPSET} to {graph.MAX_OPSET}"
        )
    tokenizer = checkpoint.tokenizer if length is None else replace(checkpoint.tokenizer, length=length)
    if not 1 <= tokenizer.length <= MAX_LENGTH:
        raise DataError(f"length {tokenizer.length} is out of range; give one from 1 to {MAX_LENGTH:,}")
    config = checkpoint.network.config
    weights = weights_from_network(config, checkpoint.network.weights())
    model = graph.build(weights, config, tokenizer.length, "fp32", batch=batch, opset=opset)
    description = graph.Description(
        config,
        tokenizer,
        checkpoint.labels,
        checkpoint.training,
        abstention=checkpoint.abstention,
        thresholds=checkpoint.thresholds,
    )
    data = _with_golden_rows(model, description)
    gates.check_structure(data)
    curve, classifier = checkpoint.abstention, _classifier(data)
    _check_kind(labelled, checkpoint.thresholds)
    if abstain is not None and checkpoint.thresholds is not None:
        raise DataError("--abstain is for models that give one label a text; leave it out")
    if isinstance(labelled, Labelled):
        answers = classifier.probabilities_of(gates.text_rows(tokenizer, labelled.texts))
        curve = _judged(curve, answers, labelled, checkpoint.labels)
    curve = _with_default(curve, abstain)
    if curve != description.abstention:
        data = _with_golden_rows(model, replace(description, abstention=curve))
    rows = gates.random_rows(tokenizer) + gates.text_rows(tokenizer, embedded_reviews())
    parity = gates.check_parity(checkpoint.network, classifier, rows)
    return Exported(data, parity)


def quantize_int8(
    fp32: ModelFile,
    *,
    labelled: Labelled | LabelledSets | None = None,
    max_drop: float = 0.3,
    abstain: float | None = None,
) -> Quantized:
    """An fp32 model file → its int8 file, through the gates.

    labelled: texts for the accuracy gate; max_drop: percentage points of accuracy that may be lost.
    labelled is for the risk-coverage curve too, and abstain its default, as in :func:`export_fp32`.
    Raises DataError (not an fp32 file of this project) or CheckError.
    """
    if not 0 <= max_drop <= 100:
        raise DataError(f"--max-drop is a number of points from 0 to 100, not {max_drop}")
    _check_kind(labelled, fp32.thresholds)
    if abstain is not None and fp32.thresholds is not None:
        raise DataError("--abstain is for models that give one label a text; leave it out")
    if fp32.quantization is not None:
        raise DataError(f"{fp32.path} is int8 already; give an fp32 model file")
    config = NetworkConfig.from_dict(fp32.network)
    weights = read_weights(onnx.load_model_from_string(fp32.data), config)
    model = graph.build(
        weights, config, fp32.tokenizer.length, "int8", batch=fp32.batch, opset=fp32.onnx.opsets[""]
    )
    if not any(node.op_type == "DynamicQuantizeLSTM" for node in model.graph.node):
        raise CheckError("the LSTM was not quantized; no file was written")
    description = graph.Description(
        config,
        fp32.tokenizer,
        fp32.labels,
        fp32.training,
        quantization.quantized_description(config),
        abstention=fp32.abstention,
        thresholds=fp32.thresholds,
    )
    curve = fp32.abstention
    data = _with_golden_rows(model, description)
    gates.check_structure(data)
    old, new = Classifier.from_model(fp32), _classifier(data)
    texts = embedded_reviews()
    rows = gates.random_rows(fp32.tokenizer) + gates.text_rows(fp32.tokenizer, texts)
    comparisons = gates.check_batches(new, rows)
    if new.model.batch is None:
        gates.check_headroom(data, rows, fp32.tokenizer.length)
    accuracy: gates.AccuracyChange | gates.SetsChange | None = None
    if labelled is not None:
        rows = gates.text_rows(fp32.tokenizer, labelled.texts)
        old_answers, new_answers = old.probabilities_of(rows), new.probabilities_of(rows)
        if isinstance(labelled, LabelledSets):
            sets = truth_of_sets(labelled.labels, fp32.labels, {}, "the data")
            accuracy = gates.sets_change([old, new], old_answers, new_answers, sets)
            gates.check_sets(accuracy, max_drop)
        else:
            truth = _label_indices(labelled.labels, fp32.labels)
            accuracy = gates.accuracy_change(old_answers, new_answers, truth)
            gates.check_accuracy(accuracy, max_drop)
            curve = _judged(curve, new_answers, labelled, fp32.labels)
    else:
        old_answers, new_answers = old.probabilities_of(rows), new.probabilities_of(rows)
    curve = _with_default(curve, abstain)
    if curve != description.abstention:
        data = _with_golden_rows(model, replace(description, abstention=curve))
    micros_before, micros_after, time_ratio = _times_of_a_text(old, new, rows)
    return Quantized(
        data,
        len(fp32.data),
        len(data),
        gates.agreement([old, new], old_answers, new_answers),
        comparisons,
        accuracy,
        micros_before,
        micros_after,
        time_ratio,
    )


def quantize_if_better(
    fp32: ModelFile,
    *,
    labelled: Labelled | LabelledSets | None = None,
    max_drop: float = 0.3,
    abstain: float | None = None,
) -> tuple[Quantized | None, Choice]:
    """:func:`quantize_int8`, and which of the two files to take on this CPU; None where int8 fails a gate."""
    try:
        quantized = quantize_int8(fp32, labelled=labelled, max_drop=max_drop, abstain=abstain)
    except CheckError as error:
        return None, Choice("fp32", str(error).partition("; ")[0])  # the error's second part is advice
    return quantized, quantized.choice()


def _check_kind(labelled: Labelled | LabelledSets | None, thresholds: tuple[float, ...] | None) -> None:
    """DataError where texts have several labels and the model gives one, or the other way round."""
    if labelled is not None and isinstance(labelled, LabelledSets) != (thresholds is not None):
        has, gives = ("one label", "several") if thresholds is not None else ("several labels", "one")
        raise DataError(f"the data has {has} a text, the model gives {gives}; give other --data")


def untried_int8(checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint's int8 file, past the gates: to weigh and time a network, not to use it."""
    config, tokenizer = checkpoint.network.config, checkpoint.tokenizer
    weights = weights_from_network(config, checkpoint.network.weights())
    model = graph.build(weights, config, tokenizer.length, "int8")
    return _with_golden_rows(
        model,
        graph.Description(
            config,
            tokenizer,
            checkpoint.labels,
            checkpoint.training,
            quantization.quantized_description(config),
            abstention=checkpoint.abstention,
            thresholds=checkpoint.thresholds,
        ),
    )


def golden_texts(tokenizer: Tokenizer) -> list[str]:
    """Short texts for the model file's own test: empty, unknown, known words, and one longer text."""
    words = tokenizer.words
    rng = np.random.default_rng(0)
    some = (
        [" ".join(words[i] for i in rng.integers(0, len(words), size=n)) for n in (1, 8, 80)] if words else []
    )
    return ["", "Qwxyzzy!", "This is a good one.", "Not good, not bad: it is what it is.", *some]


def _with_golden_rows(model: onnx.ModelProto, description: graph.Description) -> bytes:
    """The model file's bytes, with the answers of this machine to the golden texts."""
    classifier = _classifier(graph.describe_in(model, description))
    texts = golden_texts(description.tokenizer)
    rows = gates.text_rows(description.tokenizer, texts)
    # Nine digits are a float32 exactly; twenty would be a third of the file of a hundred labels.
    answers = [[float(f"{p:.9g}") for p in row] for row in classifier.probabilities_of(rows, batch_size=1)]
    golden = tuple(GoldenRow(t, tuple(r), tuple(a)) for t, r, a in zip(texts, rows, answers))
    return graph.describe_in(model, replace(description, golden=golden))


def _classifier(data: bytes) -> Classifier:
    return Classifier.from_model(parse_model(data, Path("(model being exported)")))


def _judged(
    curve: RiskCoverage | None, answers: Any, labelled: Labelled, labels: Sequence[str]
) -> RiskCoverage:
    """The curve of the file's own answers to labelled texts, with the default of ``curve``, if any.

    However few the texts are, they judge: the validation part is drawn from the training texts, often
    paraphrases by the same writers, and promises more than other texts keep. answers: float32 [n, labels].
    """
    return replace(
        RiskCoverage.of(answers, _label_indices(labelled.labels, labels), DATA_OF_EXPORT),
        default=None if curve is None else curve.default,
        sha256=texts_digest(labelled.texts),
    )


def _with_default(curve: RiskCoverage | None, abstain: float | None) -> RiskCoverage | None:
    """The curve with another default, if one is given. DataError where it cannot say its threshold."""
    if curve is None:
        if abstain is not None:
            raise DataError("there is no risk-coverage curve for --abstain; add --data LABELLED")
        return None
    curve = curve if abstain is None else replace(curve, default=abstain)
    if curve.default is not None:
        curve.threshold(curve.default)
    return curve


def _label_indices(labels: Sequence[str], known: Sequence[str]) -> Any:
    index = {label: i for i, label in enumerate(known)}
    unknown = sorted(set(labels) - set(index))
    if unknown:
        raise DataError(
            f"the data has labels the model does not know ({', '.join(unknown[:5])}); "
            f"the model's are {', '.join(known)}"
        )
    return np.array([index[label] for label in labels], dtype=np.int64)


def _times_of_a_text(old: Classifier, new: Classifier, rows: gates.Rows) -> tuple[float, float, Ratio]:
    """Median µs per text at batch 1 of both, and how many times as long ``new`` takes, over the same texts.

    The two take turns on each text, and each is the first in every other round: a change of the machine's
    clock, or a neighbour, hits both.
    """
    chosen = rows[:: -(-len(rows) // TIMED_TEXTS)]
    chosen = chosen * -(-FEWEST_TIMED // len(chosen))
    times = np.empty((2, len(chosen)))
    for place, row in enumerate(chosen):
        taken: tuple[list[float], list[float]] = ([], [])
        for turn in range(TIMED_ROUNDS):
            for which in (0, 1) if turn % 2 else (1, 0):
                start = time.perf_counter()
                (old, new)[which].probabilities_of([row])
                if turn:
                    taken[which].append((time.perf_counter() - start) * 1e6)
        times[:, place] = [statistics.median(one) for one in taken]
    before, after = np.median(times, axis=1)
    ratio = paired_ratio(times[1], times[0])
    assert ratio is not None  # FEWEST_TIMED blocks are enough for one
    return float(before), float(after), ratio
