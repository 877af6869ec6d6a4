"""Checkpoint → model file, fp32 or int8, through every gate."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from edge_lstm.core.familiarity import unfamiliarity
from edge_lstm.core.risk_coverage import RiskCoverage, cost_thresholds
from edge_lstm.core.text import texts_digest
from edge_lstm.errors import CheckError, DataError
from edge_lstm.printable import counted, duration
from edge_lstm.tables.examples import checked_examples
from edge_lstm.tables.labelled import LabelledTexts, label_matrix
from edge_lstm_export.arrays import Bools, Floats
from edge_lstm_export.checkpoint import Checkpoint
from edge_lstm_export.network import (
    MARGIN,
    MOST_TIMES,
    Rows,
    close,
    never_closed,
    spread,
    text_rows,
    threads,
    tried_rows,
    typical_rows,
    units_closed,
)
from edge_lstm_export.onnx import gates
from edge_lstm_export.onnx.draft import Draft
from edge_lstm_export.onnx.golden import golden_texts

DRAWS = 4  # roundings, of which the best is kept


@dataclass(frozen=True)
class Exported:
    """A model file's bytes, and what was measured on the way.

    parity: the largest |PyTorch - ONNX Runtime| of a probability, in fp32.
    batch_comparisons: int8: number of answers compared, alone and in batches; all have the same
        bits.
    headroom: int8: how far below the sentinels the nearest unit stays.
    closed: int8: number of LSTM units whose output gates the headroom required to be closed.
    comparison: int8: the comparison with the fp32 file.
    chosen_bits: int8: of the tables' numbers, 4 or 8, if the network was trained elsewhere: chosen
        by their effect on the labels.
    """

    data: bytes
    parity: float
    batch_comparisons: int = 0
    headroom: float | None = None
    closed: int = 0
    comparison: gates.Comparison | None = None
    chosen_bits: int | None = None


# Two threads wait longer for each other than the small steps of an LSTM take.
@threads(1)
def export(
    checkpoint: Checkpoint,
    *,
    quantize: Literal["int8"] | None = None,
    labelled: LabelledTexts | None = None,
    max_drop: float = 0.3,
    abstain: float | None = None,
    examples: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Make the model file of a checkpoint.

    quantize: None for fp32.
    labelled: texts that the network did not learn from, for the accuracy gate, and for the file's
        risk-coverage curve instead of the checkpoint's.
    max_drop: percentage points of accuracy that int8 may lose, and more only if that may be chance
        (gates.p_value_of_drop).
    abstain: the file's default, see RiskCoverage.
    examples: texts for everyone to read in the file, see checked_examples. Without any, it holds
        no text of anyone's.
    say: called with a line about the next step.

    Raise DataError for an option out of range, CheckError if a gate fails or the file is too large.
    """
    if not checkpoint.network.is_finite():
        raise DataError("the network has weights that are not finite numbers; train it again")
    if not 0 <= max_drop <= 100:
        raise DataError(f"--max-drop must be from 0 to 100 points, not {max_drop}")
    if abstain is not None and checkpoint.thresholds is not None:
        raise DataError("--abstain is for models that give one label per text; leave it out")
    examples = checked_examples(examples)
    truth = _truth(checkpoint, labelled)
    say("building the graph")
    fp32 = Draft(checkpoint)
    rows = tried_rows(fp32.tokenizer)
    say(f"comparing with PyTorch on {counted(len(rows), 'text')}")
    parity = gates.check_parity(checkpoint.network, fp32.classifier, rows)
    texts = rows if labelled is None else text_rows(fp32.tokenizer, labelled.texts)
    say(f"predicting {counted(len(texts), 'text')}")
    answers = fp32.classifier.probabilities_of(texts)
    curve = partial(_curve, checkpoint, labelled, truth, abstain, texts)
    if quantize is None:
        file = fp32.finished(curve(answers), examples)
        return Exported(file, parity)
    say("rounding weights to int8")
    given: Rows = []
    if labelled is not None:
        # Every k-th of more tokens.
        given = [texts[i] for i in spread([len(text) for text in texts], 20_000)]
    tried = rows + given
    bears = None if labelled is None else partial(_bears, texts, answers)
    int8, headroom, closed = _int8(fp32, tried, given, bears, say)
    say(f"comparing {counted(len(tried), 'text')} alone and in batches")
    comparisons = gates.check_batches(int8.classifier, tried)
    gates.check_folding(int8.classifier, text_rows(int8.tokenizer, golden_texts(int8.tokenizer)))
    say(f"comparing with fp32 on {counted(len(texts), 'text')}")
    rounded = int8.classifier.probabilities_of(texts)
    comparison = gates.compare_answers(int8.classifier, answers, rounded, truth, max_drop)
    gates.check_accuracy(comparison, max_drop)
    if labelled is not None and not checkpoint.plan:
        gates.check_labels(comparison, max_drop)
    file = int8.finished(curve(rounded), examples)
    _check_size(len(file), checkpoint.plan.get("max_kilobytes"))
    bits = None
    if not checkpoint.plan:
        bits = 4 if int8.packs else 8
    return Exported(file, parity, comparisons, headroom, closed, comparison, bits)


def _int8(
    fp32: Draft,
    tried: Rows,
    given: Rows,
    bears: Callable[[Draft], bool] | None,
    say: Callable[[str], None],
) -> tuple[Draft, float, int]:
    """Return what :func:`_with_room` does, rounded as the network bears it.

    A network without a plan was trained elsewhere, without the rounding in mind. It is rounded
    several times by the values in it for other typical texts, and the rounding that changes its
    answers least is kept. Only labelled texts tell whether it bears 4 bits.

    given: token ids of labelled texts. bears: whether their labels stay; None without any. say: is
    told how many roundings there are, and about how long the others will take.
    """
    checkpoint = fp32.checkpoint
    if checkpoint.plan:
        return _with_room(checkpoint, tried)
    draws = [typical_rows(fp32.tokenizer, seed=seed) + given for seed in range(DRAWS)]
    judged = [row for draw in draws for row in draw]
    answers = fp32.classifier.probabilities_of(judged)

    def moved(found: tuple[Draft, float, int]) -> float:
        return float(np.abs(found[0].classifier.probabilities_of(judged) - answers).mean())

    def rounded(*, packs: bool) -> tuple[Draft, float, int]:
        bits = 4 if packs else 8
        drafts = []
        begin = time.monotonic()
        for done, draw in enumerate(draws):
            a_draw = (time.monotonic() - begin) / max(1, done)
            left = f", {duration(a_draw * (DRAWS - done))} left" if done else ""
            say(f"rounding tables to {bits} bits, {done + 1} of {DRAWS} times{left}")
            drafts.append(_with_room(checkpoint, tried, packs=packs, typical=draw))
        return min(drafts, key=moved)

    if bears is not None:
        found = rounded(packs=True)
        if bears(found[0]):
            return found
    return rounded(packs=False)


def _bears(texts: Rows, answers: Floats, draft: Draft) -> bool:
    """Return whether a draft gives the texts the labels that fp32 gives.

    answers: of fp32, float32 [texts, labels].
    """
    rounded = draft.classifier.probabilities_of(texts)
    changed = gates.compare_answers(draft.classifier, answers, rounded, None, 0).changed
    return changed <= gates.MOST_OTHER_LABELS * len(texts)


def _with_room(
    checkpoint: Checkpoint,
    rows: Rows,
    *,
    packs: bool = True,
    typical: Sequence[Sequence[int]] = (),
) -> tuple[Draft, float, int]:
    """Return an int8 draft whose units stay below its sentinels on these rows.

    typical: see :class:`Draft`.

    Return also how far at least, and how many units were closed for that. If any were, the draft's
    checkpoint is another one with closed output gates: closed as training does it (see
    headroom.with_headroom), by what the draft itself gives.
    """
    drafted = partial(Draft, int8=True, packs=packs, typical=typical)
    draft = drafted(checkpoint)
    rooms = draft.rooms(rows)
    closed = never_closed(checkpoint.network)
    if _least(rooms) < gates.LEAST_HEADROOM:
        checkpoint = replace(checkpoint, network=copy.deepcopy(checkpoint.network))
        while _least(rooms) < MARGIN and max(map(np.max, closed)) < MOST_TIMES:
            near = [room < MARGIN for room in rooms]
            close(checkpoint.network, near, closed)
            draft = drafted(checkpoint)
            rooms = draft.rooms(rows)
    return draft, _least(rooms), units_closed(closed)


def _least(rooms: Sequence[Floats]) -> float:
    """Return the least of all LSTMs' rooms; 2, the most, without an LSTM."""
    return min((float(room.min()) for room in rooms), default=2.0)


def _check_size(size: int, max_kilobytes: object) -> None:
    """Check that a file has no more bytes than its plan allows.

    A training keeps within them. Examples, another curve and a plan that was edited later may not.
    Raises CheckError if not.
    """
    if isinstance(max_kilobytes, int) and size > max_kilobytes * 1000:
        raise CheckError(
            f"the file takes {size:,} bytes, more than its plan's {max_kilobytes:,} kB; "
            "no file was written: train with a larger --preset"
        )


def _truth(checkpoint: Checkpoint, labelled: LabelledTexts | None) -> Bools | None:
    """Return which labels each text has, bool [n, labels].

    DataError if they have several and the model gives one, the other way round, or have labels that
    it does not know.
    """
    if labelled is None:
        return None
    multi_label = checkpoint.thresholds is not None
    if labelled.multi_label != multi_label:
        has, gives = ("one label", "multi_label") if multi_label else ("several labels", "one")
        raise DataError(f"the data has {has} per text, the model gives {gives}; give other --data")
    return label_matrix(labelled.labels, checkpoint.labels, "the data")


def _curve(
    checkpoint: Checkpoint,
    labelled: LabelledTexts | None,
    truth: Bools | None,
    abstain: float | None,
    texts: Sequence[Sequence[int]],
    answers: Floats,
) -> RiskCoverage | None:
    """Return the risk-coverage curve of a file; without labelled texts the checkpoint's.

    The answers to the texts, given as ids, are float32 [n, labels].

    Texts with several labels have none.

    However few the labelled texts are, theirs replaces the other: the validation part, drawn from
    the training texts, promises more than other texts keep. DataError if the texts are too few to
    give the threshold for the default.
    """
    curve = checkpoint.abstention
    default = curve.default if abstain is None and curve is not None else abstain
    if labelled is not None and truth is not None and not labelled.multi_label:
        curve = RiskCoverage.from_predictions(answers, truth.argmax(axis=1), "--data of the export")
        unfamiliar = cost_thresholds(unfamiliarity(answers, texts, checkpoint.tokenizer))
        curve = replace(curve, sha256=texts_digest(labelled.texts), unfamiliar=unfamiliar)
    if default is None:
        return curve
    if curve is None:
        raise DataError(
            "the checkpoint has no risk-coverage curve for --abstain; add --data LABELLED"
        )
    curve.threshold(default)
    return replace(curve, default=default)
