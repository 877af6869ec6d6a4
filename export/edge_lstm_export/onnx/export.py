"""Checkpoint → model file, fp32 or int8, through every gate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_lstm import modelfile
from edge_lstm.answering import RiskCoverage
from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.statistics import Ratio, paired_ratio
from edge_lstm.model_checks import MAX_LENGTH
from edge_lstm.models import embedded_reviews
from edge_lstm.tables.labelled import Labelled
from edge_lstm.text import Tokenizer, texts_digest
from edge_lstm_export.onnx import gates, graph
from edge_lstm_export.onnx.weights import SENTINELS, WEIGHT_LIMIT, weights_from_network

if TYPE_CHECKING:
    from edge_lstm_export.train.checkpoint import Checkpoint

Precision = Literal["fp32", "int8"]
Say = Callable[[str], None]  # is told, in a line, what is done next

EXAMPLES = "examples"  # of a checkpoint's training: a few texts, which become golden rows
MOST_EXAMPLES, LONGEST_EXAMPLE = 8, 500  # texts; characters of one
TIMED_TEXTS, FEWEST_TIMED = 100, 40  # of fewer texts each is timed several times
TIMED_ROUNDS = 6  # of each text and model, of which the first does not count
# Two runs of the same file differ by a few percent on a shared machine, and a tenth of a short text's time is
# a few µs: no reason to ship thrice the bytes, and answers whose bits differ from CPU to CPU.
TIE = 1.1


@dataclass(frozen=True)
class Quantized:
    """How an int8 file compares with the fp32 one.

    batch_comparisons: answers alone and in batches, all of the same bits. micros_before, micros_after: median
    time per text at batch 1 on one thread, in µs; time_ratio: how many times as long int8 takes for a text.
    """

    int8_bytes: int
    batch_comparisons: int
    comparison: gates.Comparison
    micros_before: float
    micros_after: float
    time_ratio: Ratio


@dataclass(frozen=True)
class Exported:
    """A model file's bytes, and what was measured on the way.

    reason: why it has this precision, where "auto" chose. parity: the largest |PyTorch - ONNX Runtime| of a
    probability, in fp32. quantized: None where no int8 file was made.
    """

    data: bytes
    precision: Precision
    reason: str
    fp32_bytes: int
    parity: float
    quantized: Quantized | None = None


def export(
    checkpoint: Checkpoint,
    *,
    quantize: Literal["int8", "auto"] | None = None,
    length: int | None = None,
    labelled: Labelled | None = None,
    max_drop: float = 0.3,
    abstain: float | None = None,
    say: Say = lambda line: None,
) -> Exported:
    """Make the model file of a checkpoint.

    quantize: None for fp32; "auto" for whichever of fp32 and int8 is faster on this CPU, see :func:`choose`,
    and fp32 where int8 fails a gate. length: columns of the input (default: the checkpoint's).
    labelled: texts that the network did not learn from, for the accuracy gate, and
    for the file's risk-coverage curve in the place of the checkpoint's; max_drop: percentage points of
    accuracy that int8 may lose. abstain: the file's default, see RiskCoverage.
    Raises DataError for an option out of range, CheckError where a gate fails.
    """
    if length is not None and not 1 <= length <= MAX_LENGTH:
        raise DataError(f"length {length} is out of range; give one from 1 to {MAX_LENGTH:,}")
    if not 0 <= max_drop <= 100:
        raise DataError(f"--max-drop is a number of points from 0 to 100, not {max_drop}")
    data = _Data(checkpoint, labelled, max_drop, abstain)
    say("building the graph")
    fp32 = _Draft(checkpoint, length)
    rows = gates.random_rows(fp32.tokenizer) + gates.text_rows(fp32.tokenizer, embedded_reviews())
    say(f"comparing with PyTorch on {len(rows)} texts")
    parity = gates.check_parity(checkpoint.network, fp32.classifier, rows)
    texts = rows if labelled is None else gates.text_rows(fp32.tokenizer, labelled.texts)
    say(f"answering {len(texts):,} texts")
    answers = fp32.classifier.probabilities_of(texts)
    file = fp32.finished(checkpoint.abstention if quantize == "int8" else data.curve(answers))
    exported = Exported(file, "fp32", "", len(file), parity)
    if quantize is None:
        return exported
    try:
        file, quantized = _quantize(fp32, rows, texts, answers, data, say)
    except CheckError as error:
        if quantize == "int8":
            raise
        return replace(exported, reason=str(error).partition("; ")[0])  # the rest is advice
    precision: Precision = "int8" if len(file) < len(exported.data) else "fp32"  # the smaller one
    precision, reason = choose(quantized.time_ratio, precision) if quantize == "auto" else ("int8", "")
    chosen = file if precision == "int8" else exported.data
    return Exported(chosen, precision, reason, len(exported.data), parity, quantized)


def _quantize(
    fp32: _Draft, rows: gates.Rows, texts: gates.Rows, before: gates.Probabilities, data: _Data, say: Say
) -> tuple[bytes, Quantized]:
    """Make the int8 file. rows: what tries its promises; texts: what it is compared on with the fp32 file,
    whose answers are ``before``, float32 [texts, labels]. Raises CheckError."""
    say("rounding weights to int8")
    int8 = _Draft(fp32.checkpoint, fp32.tokenizer.length, int8=True)
    say(f"comparing {len(rows)} texts alone and in batches")
    comparisons = gates.check_batches(int8.classifier, rows)
    gates.check_headroom(int8.classifier.model.data, rows, int8.tokenizer.length)
    say(f"comparing with fp32 on {len(texts):,} texts")
    models, after = (fp32.classifier, int8.classifier), int8.classifier.probabilities_of(texts)
    comparison = gates.compare(models, before, after, data.truth)
    gates.check_accuracy(comparison, data.max_drop)
    file = int8.finished(data.curve(after))
    say("timing both files")
    return file, Quantized(len(file), comparisons, comparison, *_times_of_a_text(*models, texts))


def choose(ratio: Ratio, smaller: Precision) -> tuple[Precision, str]:
    """Choose the faster of the two files on this CPU; where neither is faster by more than TIE with 95 %
    confidence, the smaller one. ratio: how many times as long int8 takes. Return the precision and why."""
    times = f"int8 takes {ratio.value:.2f} times as long, 95 %: {ratio.low:.2f} to {ratio.high:.2f}"
    if ratio.low > TIE or ratio.high < 1 / TIE:
        return "fp32" if ratio.low > TIE else "int8", f"the faster one on this CPU ({times})"
    return smaller, f"the smaller one, no large difference here ({times})"


class _Draft:
    """A model file without golden rows and curve, and the classifier that answers with it."""

    def __init__(self, checkpoint: Checkpoint, length: int | None, *, int8: bool = False) -> None:
        self.checkpoint, self.int8 = checkpoint, int8
        self.tokenizer = replace(checkpoint.tokenizer, length=length or checkpoint.tokenizer.length)
        config, length = checkpoint.network.config, self.tokenizer.length
        linear = checkpoint.plan.get("linear")
        long = isinstance(linear, dict) and linear.get("short") is False  # a plan for long texts
        weights = weights_from_network(config, checkpoint.network.weights())
        self._model = graph.build(weights, config, length, int8=int8, long=long)
        self.classifier = Classifier.from_model(self._file([], None))

    def finished(self, curve: RiskCoverage | None) -> bytes:
        """Return the model file's bytes, with the answers of this machine to the golden texts."""
        texts = golden_texts(self.tokenizer, self.checkpoint.training.get(EXAMPLES))
        rows = gates.text_rows(self.tokenizer, texts)
        # Nine digits are a float32 exactly; twenty would be a third of the file of a hundred labels.
        answers = self.classifier.probabilities_of(rows, batch_size=1)
        golden = [
            {"text": text, "ids": ids, "probabilities": [float(f"{p:.9g}") for p in answer]}
            for text, ids, answer in zip(texts, rows, answers)
        ]
        return self._file(golden, curve).data

    def _file(self, golden: Sequence[object], curve: RiskCoverage | None) -> modelfile.ModelFile:
        """Return the model file, as a device opens it. CheckError where it is not valid ONNX."""
        checkpoint, tokenizer, config = self.checkpoint, self.tokenizer, self.checkpoint.network.config
        description = {
            modelfile.KEY_FORMAT: str(modelfile.FORMAT_VERSION),
            modelfile.KEY_TOKENIZER: tokenizer.to_metadata(),
            modelfile.KEY_VOCABULARY: "\n".join((*tokenizer.words, *(tokenizer.pieces or ()))),
            modelfile.KEY_LABELS: checkpoint.labels,
            modelfile.KEY_NETWORK: asdict(config),
            modelfile.KEY_TRAINING: {k: v for k, v in checkpoint.training.items() if k != EXAMPLES},
            modelfile.KEY_GOLDEN: golden,
        }
        if checkpoint.thresholds is not None:
            description[modelfile.KEY_SEVERAL] = {"thresholds": checkpoint.thresholds}
        if curve is not None:
            description[modelfile.KEY_ABSTENTION] = curve.to_dict()
        if self.int8:
            description[modelfile.KEY_QUANTIZATION] = {
                "precision": "int8",
                "lstm": f"int8 weights, symmetric per tensor, range ±{WEIGHT_LIMIT}; uint8 activations",
                "embedding": "int8, symmetric per tensor",
                "head": "int8 weights, symmetric per input; float32 products",
                **({"ngrams": "int8, symmetric per column; sums in int32"} if config.ngrams else {}),
                "sentinel_units": SENTINELS,
                "promises": ["same bits in every batch", "same bits on every x86 CPU with AVX2 or later"],
            }
        data = graph.file_bytes(self._model, description)
        gates.check_structure(data)
        return modelfile.parse_model(data, Path("(model being exported)"))


class _Data:
    """What labelled texts, if there are any, say of a file.

    DataError where they have several labels and the model gives one, the other way round, or have labels that
    it does not know.
    """

    def __init__(
        self, checkpoint: Checkpoint, labelled: Labelled | None, max_drop: float, abstain: float | None
    ) -> None:
        self.labelled, self.max_drop, self._curve = labelled, max_drop, checkpoint.abstention
        labels, several = checkpoint.labels, checkpoint.thresholds is not None
        if abstain is not None and several:
            raise DataError("--abstain is for models that give one label per text; leave it out")
        rows = [] if labelled is None else labelled.labels
        if labelled is not None and labelled.several != several:
            has, gives = ("one label", "several") if several else ("several labels", "one")
            raise DataError(f"the data has {has} a text, the model gives {gives}; give other --data")
        if unknown := sorted({name for names in rows for name in names} - set(labels)):
            lacking = f"the data has labels the model does not know ({', '.join(unknown[:5])})"
            raise DataError(f"{lacking}; the model's are {', '.join(labels)}")
        self.truth = None  # bool [n, labels]
        if labelled is not None:
            self.truth = np.array([[label in names for label in labels] for names in rows], np.bool_)
        self._abstain = self._curve.default if abstain is None and self._curve is not None else abstain

    def curve(self, answers: gates.Probabilities) -> RiskCoverage | None:
        """Return the risk-coverage curve of a file that gives these answers, float32 [n, labels]; without
        labelled texts the checkpoint's. Texts with several labels have none.

        However few the labelled texts are, theirs replaces the other: the validation part, drawn from the
        training texts, promises more than other texts keep. DataError where the texts are too few to give the
        threshold for the default.
        """
        curve, default = self._curve, self._abstain
        if self.labelled is not None and self.truth is not None and not self.labelled.several:
            curve = RiskCoverage.of(answers, self.truth.argmax(axis=1), "--data of the export")
            curve = replace(curve, sha256=texts_digest(self.labelled.texts))
        if curve is None:
            if default is not None:
                raise DataError("there is no risk-coverage curve for --abstain; add --data LABELLED")
            return None
        if default is not None:
            curve.threshold(default)
        return replace(curve, default=default)


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
