"""The measuring: models × labelled texts → metrics and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.decide import STATUSES, Policy
from edge_lstm.core.familiarity import unfamiliarity
from edge_lstm.core.modelfile import ModelFile, short_names
from edge_lstm.core.question import number
from edge_lstm.core.text import text_key, texts_digest
from edge_lstm.errors import DataError
from edge_lstm.evaluation.compare import compare
from edge_lstm.evaluation.result import Evaluation, ForeignScores, ModelResult, Scores
from edge_lstm.tables.labelled import LabelledTexts, label_matrix, listed_labels

CHUNK = 1024  # texts between two calls of progress: a fifth of a second on a small device

Progress = Callable[[int], None]


def evaluate(
    classifiers: Sequence[Classifier],
    labelled: LabelledTexts,
    *,
    data: str = "the data",
    foreign: Sequence[str] = (),
    abstain: float | None = None,
    threshold: float | None = None,
    windows: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Classify every text, empty ones too, with every model.

    data: name of the texts' source, for errors and reports.
    foreign: texts that belong to none of the labels.
    abstain, threshold: when a model abstains, see Policy.of. Only the metrics of
        abstention depend on it; the others count every text.
    windows: as in Classifier.predict. Not together with ``foreign``.
    progress: called with the number of texts classified since the last call.

    Raise DataError if the data holds no text, a label is unknown to the models, the models have
    different labels, or one of them cannot abstain as asked.
    """
    models = [classifier.model for classifier in classifiers]
    _check_models(models, labelled, data)
    _check_foreign(models, labelled.texts, foreign)
    if windows and foreign:
        raise DataError("--windows and --foreign exclude each other; give one of them")
    policies = [Policy.of(model, abstain=abstain, threshold=threshold) for model in models]
    labels = models[0].labels
    given: Sequence[Sequence[str]] = labelled.labels
    if models[0].is_score:
        given = _on_scale(given, models[0])
    truth = label_matrix(given, labels, data)

    digest = texts_digest(labelled.texts)
    names = short_names([model.path for model in models])
    results: list[ModelResult] = []
    statuses: dict[str, int] = {}
    for classifier, name, policy in zip(classifiers, names, policies):
        model = classifier.model
        curve = model.abstention
        probabilities, own, counts = _classify(
            classifier, labelled.texts, progress, windows=windows
        )
        _, others, _ = _classify(classifier, foreign, progress)
        if not results:
            statuses = counts
        share = abstain
        if curve is not None and abstain is None and threshold is None:
            share = curve.default
        columns = [model.labels.index(label) for label in labels]
        result = ModelResult(
            model=model,
            name=name,
            labels=labels,
            truth=truth,
            probabilities=probabilities[:, columns],
            thresholds=model.thresholds and tuple(model.thresholds[i] for i in columns),
            threshold=policy.threshold,
            abstain=share,
            same_texts=curve is None or curve.sha256 == digest,
            foreign=ForeignScores.of(model, own, others) if foreign else None,
        )
        results.append(result)

    return Evaluation(
        data=data,
        texts=tuple(labelled.texts),
        statuses=statuses,
        results=tuple(results),
        comparisons=tuple(compare(results[0], other) for other in results[1:]),
        foreign=tuple(foreign),
        numbers=tuple(labelled.numbers or range(1, len(labelled.texts) + 1)),
        left_out=labelled.left_out,
    )


def _on_scale(labels: Sequence[Sequence[str]], model: ModelFile) -> list[list[str]]:
    """Return the labels of texts as the model spells the same numbers."""
    names: dict[float | None, str] = dict(zip(model.question.levels, model.labels))
    return [[names.get(number(label), label) for label in of_text] for of_text in labels]


def _check_models(models: Sequence[ModelFile], labelled: LabelledTexts, data: str) -> None:
    """Check that the models can be evaluated side by side on the data.

    Raises DataError if not.
    """
    if not labelled.texts:
        raise DataError(f"{data} holds no labelled text; give a file with at least one")
    first = models[0]
    for model in models:
        if model.thresholds is None and labelled.multi_label:
            raise DataError(
                f"{model.path} gives one label per text, {data} has several; give another model"
            )
        if (model.thresholds is None) != (first.thresholds is None):
            raise DataError(
                "one model gives one label per text, another several; evaluate them one by one"
            )
        if set(model.labels) != set(first.labels):
            raise DataError(
                f"{model.path} has the labels {listed_labels(model.labels)}, {first.path} has "
                f"{listed_labels(first.labels)}; evaluate them one by one"
            )


def _check_foreign(
    models: Sequence[ModelFile], texts: Sequence[str], foreign: Sequence[str]
) -> None:
    """Check that the models can tell foreign texts, none of which has a label.

    Raises DataError if not.
    """
    if not foreign:
        return
    if models[0].thresholds is not None:
        raise DataError("the models give several labels per text, or none; leave --foreign out")
    own = set(map(text_key, texts)) - {text_key("")}
    if shared := sum(text_key(text) in own for text in foreign):
        raise DataError(
            f"{shared:,} of the {len(foreign):,} foreign texts are labelled texts; foreign ones "
            "must belong to none of the labels: remove them"
        )


def _classify(
    classifier: Classifier,
    texts: Sequence[str],
    progress: Progress | None,
    *,
    windows: bool = False,
) -> tuple[npt.NDArray[np.float32], Scores, dict[str, int]]:
    """Return the texts' probabilities, their unfamiliarity, and how many have each status.

    Probabilities are float32 [n, labels]. Unfamiliarity is float64 [n], 0 if a text may have
    several labels.
    """
    tokenizer = classifier.model.tokenizer
    probabilities = np.empty((len(texts), len(classifier.labels)), dtype=np.float32)
    scores = np.zeros(len(texts))
    statuses: Counter[str] = Counter()
    for start in range(0, len(texts), CHUNK):
        chunk = slice(start, start + CHUNK)
        read = [classifier.model.as_text(text) for text in texts[chunk]]
        encoded = [tokenizer.encode_text(text) for text in read]
        ids = [text.ids for text in encoded]
        # Every text gets an answer here: abstention is counted afterwards.
        decisions = classifier.classify(read, Policy(windows=windows), encoded=encoded)
        answers = np.frombuffer(decisions.probabilities, np.float32)
        probabilities[chunk] = answers.reshape(len(encoded), -1)
        if classifier.model.thresholds is None:
            scores[chunk] = unfamiliarity(probabilities[chunk], ids, tokenizer)
        statuses.update(STATUSES[code] for code in decisions.read)
        if progress:
            progress(len(encoded))
    return probabilities, scores, dict(statuses)
