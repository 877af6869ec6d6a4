"""Checkpoint → model file, and fp32 model file → int8 model file, through every gate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from edge_lstm.answering import RiskCoverage
from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.statistics import Ratio, paired_ratio
from edge_lstm.model_checks import MAX_LENGTH, GoldenRow
from edge_lstm.modelfile import ModelFile, parse_model
from edge_lstm.models import embedded_reviews
from edge_lstm.tables.labelled import Labelled
from edge_lstm.text import Tokenizer, texts_digest
from edge_lstm_export.onnx import gates, graph
from edge_lstm_export.onnx.quantize import quantization_description
from edge_lstm_export.onnx.weights import read_weights, weights_from_network
from edge_lstm_export.train.options import NetworkConfig, from_plain

if TYPE_CHECKING:  # takes a while to import: quantizing a file needs no PyTorch
    from edge_lstm_export.train.checkpoint import Checkpoint

Say = Callable[[str], None]  # is told, in a line, what is done next

DATA_OF_EXPORT = "--data of the export"  # of a risk-coverage curve
EXAMPLES = "examples"  # of a checkpoint's training: a few texts, which become golden rows
MOST_EXAMPLES, LONGEST_EXAMPLE = 8, 500  # texts; characters of one
TIMED_TEXTS, FEWEST_TIMED = 100, 40  # of fewer texts each is timed several times
TIMED_ROUNDS = 6  # of each text and model, of which the first does not count
# Two runs of the same file differ by a few percent on a shared machine, and a tenth of a short text's time is
# a few µs: no reason to ship thrice the bytes, and answers whose bits differ from CPU to CPU.
TIE = 1.1


@dataclass(frozen=True)
class Exported:
    """An fp32 file's bytes; parity: the largest |PyTorch - ONNX Runtime| of a probability."""

    data: bytes
    parity: float


@dataclass(frozen=True)
class Choice:
    """Which of an fp32 and an int8 file to take, and why, in words."""

    precision: Literal["fp32", "int8"]
    reason: str


@dataclass(frozen=True)
class Quantized:
    """An int8 file and how it compares with its fp32 origin.

    micros_before, micros_after: median time per text at batch 1 on one thread, in µs; time_ratio: how many
    times as long int8 takes for a text; accuracy: None without labelled data.
    """

    data: bytes
    bytes_before: int
    bytes_after: int
    agreement: gates.Agreement
    batch_comparisons: int
    accuracy: gates.AccuracyChange | None
    micros_before: float
    micros_after: float
    time_ratio: Ratio

    def choice(self) -> Choice:
        """Return the faster of the two files on this CPU. Where neither is faster by more than TIE with 95 %
        confidence, the smaller one."""
        ratio = self.time_ratio
        times = f"int8 takes {ratio.value:.2f} times as long, 95 %: {ratio.low:.2f} to {ratio.high:.2f}"
        if ratio.low > TIE or ratio.high < 1 / TIE:
            return Choice("fp32" if ratio.low > TIE else "int8", f"the faster one on this CPU ({times})")
        smaller: Literal["fp32", "int8"] = "int8" if self.bytes_after < self.bytes_before else "fp32"
        return Choice(smaller, f"the smaller one, no large difference here ({times})")


def export_fp32(
    checkpoint: Checkpoint,
    *,
    length: int | None = None,
    batch: Literal[1] | None = None,
    labelled: Labelled | None = None,
    abstain: float | None = None,
    say: Say = lambda line: None,
) -> Exported:
    """Make the fp32 model file of a checkpoint; it answers as PyTorch does.

    length: columns of the input (default: the checkpoint's); batch: None for a free batch, or 1.
    labelled: texts that the network did not learn from, for the file's risk-coverage curve in the place of
    the checkpoint's. abstain: the file's default, see RiskCoverage.
    Raises DataError for an option out of range, CheckError where a gate fails.
    """
    if length is not None and not 1 <= length <= MAX_LENGTH:
        raise DataError(f"length {length} is out of range; give one from 1 to {MAX_LENGTH:,}")
    truth = _truth(labelled, abstain, checkpoint.labels, checkpoint.thresholds)
    tokenizer = checkpoint.tokenizer if length is None else replace(checkpoint.tokenizer, length=length)
    config, training = checkpoint.network.config, dict(checkpoint.training)
    texts = golden_texts(tokenizer, training.pop(EXAMPLES, None))
    say("building the graph")
    weights = weights_from_network(config, checkpoint.network.weights())
    linear = checkpoint.plan.get("linear")
    long = isinstance(linear, dict) and linear.get("short") is False  # a plan for long texts
    block = graph.pooling_block(config, tokenizer.length, long=long)
    model = graph.build(weights, config, tokenizer.length, batch=batch, block=block)
    description = graph.Description(config, tokenizer, checkpoint.labels, training, checkpoint.thresholds)
    classifier = Classifier.from_model(_file(model, description))
    rows = gates.random_rows(tokenizer) + gates.text_rows(tokenizer, embedded_reviews())
    say(f"comparing with PyTorch on {len(rows)} texts")
    parity = gates.check_parity(checkpoint.network, classifier, rows)
    measured = None
    if labelled is not None:
        say(f"answering {len(labelled.texts):,} labelled texts")
        answers = classifier.probabilities_of(gates.text_rows(tokenizer, labelled.texts))
        measured = answers, labelled, truth
    description = replace(description, abstention=_curve(checkpoint.abstention, measured, abstain))
    return Exported(_with_golden_rows(model, description, classifier, texts), parity)


def quantize_int8(
    fp32: ModelFile,
    *,
    labelled: Labelled | None = None,
    max_drop: float = 0.3,
    abstain: float | None = None,
    say: Say = lambda line: None,
) -> Quantized:
    """Make the int8 file of an fp32 model file, through the gates.

    labelled: texts for the accuracy gate and, with abstain, as in :func:`export_fp32`; max_drop: percentage
    points of accuracy that may be lost.
    Raises DataError (not an fp32 file of this project) or CheckError.
    """
    if not 0 <= max_drop <= 100:
        raise DataError(f"--max-drop is a number of points from 0 to 100, not {max_drop}")
    truth = _truth(labelled, abstain, fp32.labels, fp32.thresholds)
    say("rounding weights to int8")
    model, description = _int8_graph(fp32)
    old, new = Classifier.from_model(fp32), Classifier.from_model(_file(model, description))
    rows = gates.random_rows(fp32.tokenizer) + gates.text_rows(fp32.tokenizer, embedded_reviews())
    say(f"comparing {len(rows)} texts alone and in batches")
    comparisons = gates.check_batches(new, rows)
    if new.model.batch is None:
        say("measuring how far the units stay from their ends")
        gates.check_headroom(new.model.data, rows, fp32.tokenizer.length)
    if labelled is not None:
        rows = gates.text_rows(fp32.tokenizer, labelled.texts)
    say(f"comparing with fp32 on {len(rows):,} texts")
    before, after = old.probabilities_of(rows), new.probabilities_of(rows)
    accuracy = measured = None
    if labelled is not None:
        accuracy = gates.check_accuracy(gates.accuracy_change([old, new], before, after, truth), max_drop)
        measured = after, labelled, truth
    description = replace(description, abstention=_curve(fp32.abstention, measured, abstain))
    texts = [row.text for row in fp32.golden] or golden_texts(fp32.tokenizer, None)
    data = _with_golden_rows(model, description, new, texts)
    say("timing both files")
    times = _times_of_a_text(old, new, rows)
    agreement = gates.agreement([old, new], before, after)
    return Quantized(data, len(fp32.data), len(data), agreement, comparisons, accuracy, *times)


def quantize_if_better(fp32: ModelFile, **options: Any) -> tuple[Quantized | None, Choice]:
    """Return :func:`quantize_int8` with its options, and which of the two files to take on this CPU; None
    where int8 fails a gate."""
    try:
        quantized = quantize_int8(fp32, **options)
    except CheckError as error:
        return None, Choice("fp32", str(error).partition("; ")[0])  # the error's second part is advice
    return quantized, quantized.choice()


def _truth(
    labelled: Labelled | None,
    abstain: float | None,
    labels: Sequence[str],
    thresholds: tuple[float, ...] | None,
) -> npt.NDArray[np.bool_]:
    """Return the label matrix of the texts by the model's labels: bool [n, labels]. DataError where they have
    several labels and the model gives one, the other way round, or have labels that it does not know."""
    if abstain is not None and thresholds is not None:
        raise DataError("--abstain is for models that give one label per text; leave it out")
    rows = [] if labelled is None else labelled.labels
    if labelled is not None and labelled.several != (thresholds is not None):
        has, gives = ("one label", "several") if thresholds is not None else ("several labels", "one")
        raise DataError(f"the data has {has} a text, the model gives {gives}; give other --data")
    if unknown := sorted({name for names in rows for name in names} - set(labels)):
        lacking = f"the data has labels the model does not know ({', '.join(unknown[:5])})"
        raise DataError(f"{lacking}; the model's are {', '.join(labels)}")
    return np.array([[label in names for label in labels] for names in rows], np.bool_)


def _int8_graph(fp32: ModelFile) -> tuple[onnx.ModelProto, graph.Description]:
    """Return the int8 graph of an fp32 file, and its description."""
    if fp32.quantization is not None:
        raise DataError(f"{fp32.path} is int8 already; give an fp32 model file")
    config: NetworkConfig = from_plain(NetworkConfig, fp32.network, f"{fp32.path}: its network")
    original = onnx.load_model_from_string(fp32.data)
    weights, block = read_weights(original, config), graph.pooling_block_of(original)
    model = graph.build(weights, config, fp32.tokenizer.length, int8=True, batch=fp32.batch, block=block)
    if not any(node.op_type == "DynamicQuantizeLSTM" for node in model.graph.node):
        raise CheckError("the LSTM was not quantized; no file was written")
    parts = fp32.tokenizer, fp32.labels, fp32.training, fp32.thresholds
    return model, graph.Description(config, *parts, quantization_description(config))


def golden_texts(tokenizer: Tokenizer, examples: object) -> list[str]:
    """Return texts for the model file's own test: empty, unknown, of everyday words, and the first examples
    (a list of texts; without any, words of the vocabulary), alone and joined."""
    given = examples if isinstance(examples, list) else []
    texts = [text[:LONGEST_EXAMPLE] for text in given if isinstance(text, str)][:MOST_EXAMPLES]
    if texts:
        texts += [" ".join(texts)][: len(texts) - 1]
    elif words := tokenizer.words:
        rng = np.random.default_rng(0)
        texts = [" ".join(words[i] for i in rng.integers(0, len(words), size=n)) for n in (1, 8, 80)]
    return ["", "Qwxyzzy!", "This is a good one.", "Not good, not bad: it is what it is.", *texts]


def _file(model: onnx.ModelProto, description: graph.Description) -> ModelFile:
    """Return the model file, as a device opens it. CheckError where it is not valid ONNX."""
    data = graph.describe_in(model, description)
    gates.check_structure(data)
    return parse_model(data, Path("(model being exported)"))


def _with_golden_rows(
    model: onnx.ModelProto, description: graph.Description, classifier: Classifier, texts: Sequence[str]
) -> bytes:
    """Return the model file's bytes, with the answers of this machine to the golden texts."""
    rows = gates.text_rows(description.tokenizer, texts)
    # Nine digits are a float32 exactly; twenty would be a third of the file of a hundred labels.
    answers = [[float(f"{p:.9g}") for p in row] for row in classifier.probabilities_of(rows, batch_size=1)]
    golden = tuple(GoldenRow(t, tuple(r), tuple(a)) for t, r, a in zip(texts, rows, answers))
    return _file(model, replace(description, golden=golden)).data


def _curve(
    curve: RiskCoverage | None,
    measured: tuple[gates.Probabilities, Labelled, npt.NDArray[np.bool_]] | None,
    abstain: float | None,
) -> RiskCoverage | None:
    """Return the file's curve: that of the answers (float32 [n, labels]) to labelled texts, else ``curve``,
    with the default ``abstain``, else that of ``curve``. Texts with several labels have none.

    However few the labelled texts are, theirs replaces the other: the validation part, drawn from the
    training texts, promises more than other texts keep. DataError where the texts are too few to give the
    threshold for the default.
    """
    default = curve.default if abstain is None and curve is not None else abstain
    if measured is not None and not measured[1].several:
        answers, labelled, truth = measured
        curve = RiskCoverage.of(answers, truth.argmax(axis=1), DATA_OF_EXPORT)
        curve = replace(curve, sha256=texts_digest(labelled.texts))
    if curve is None:
        if default is not None:
            raise DataError("there is no risk-coverage curve for --abstain; add --data LABELLED")
        return None
    if default is not None:
        curve.threshold(default)
    return replace(curve, default=default)


def _times_of_a_text(old: Classifier, new: Classifier, rows: gates.Rows) -> tuple[float, float, Ratio]:
    """Return the median µs per text at batch 1 of both, and how many times as long ``new`` takes.

    The two take turns on each text, and each is the first in every other round: a change of the machine's
    clock, or a neighbour, hits both.
    """
    chosen = rows[:: -(-len(rows) // TIMED_TEXTS)]
    chosen = chosen * -(-FEWEST_TIMED // len(chosen))
    times = np.empty((2, TIMED_ROUNDS, len(chosen)))
    for place, row in enumerate(chosen):
        for turn in range(TIMED_ROUNDS):
            for which in (0, 1) if turn % 2 else (1, 0):
                start = time.perf_counter()
                (old, new)[which].probabilities_of([row])
                times[which, turn, place] = time.perf_counter() - start
    medians = np.median(times[:, 1:], axis=1) * 1e6  # µs; the first round brought the text into the caches
    ratio = paired_ratio(medians[1], medians[0])
    assert ratio is not None  # FEWEST_TIMED blocks are enough for one
    before, after = np.median(medians, axis=1).tolist()
    return before, after, ratio
