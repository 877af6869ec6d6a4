"""Several questions on the same texts: a model file answers each, in one pass over the texts."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edge_lstm.core.classifier import Classification, Classifier, Prediction
from edge_lstm.core.text import Encoded, Tokenizer

# The name of a question. It becomes a part of the names of columns.
QUESTION_NAME = re.compile(r"\w[\w-]{0,63}")


class Questions:
    """Classifiers by the name of their question.

    Files with the same vocabulary and text rule turn a text into ids once.
    """

    def __init__(self, classifiers: Mapping[str, Classifier]) -> None:
        """classifiers: name of the question → its classifier."""
        self.classifiers = dict(classifiers)
        numbers: dict[Tokenizer, int] = {}
        # Numbered here and not for each batch: a comparison reads the whole vocabulary.
        self._tokenizers = {
            name: numbers.setdefault(each.model.tokenizer, len(numbers))
            for name, each in self.classifiers.items()
        }

    @classmethod
    def load(
        cls,
        paths: Mapping[str, str | Path | None],
        *,
        engine: str | None = None,
        threads: int = 1,
    ) -> Questions:
        """Load a model file for each question.

        paths: name of the question → its model file; None for the embedded model.

        The other parameters, and the errors, are as in Classifier.load.
        """
        return cls(
            {
                name: Classifier.load(path, engine=engine, threads=threads)
                for name, path in paths.items()
            }
        )

    def classify(
        self,
        texts: Sequence[str],
        highest_scores: Mapping[str, float] | None = None,
        *,
        names: Collection[str] | None = None,
        batch_size: int | None = None,
        windows: bool = False,
    ) -> dict[str, Classification]:
        """Classify texts, for each question.

        highest_scores: name of a question → the score above which a text is unfamiliar; none by
            default.
        names: the questions to answer; None for all.
        batch_size: texts in one run; None for the fastest number.
        windows: see Classifier.predict.

        Raises ModelFileError if a model gives no probabilities.
        """
        encoded: dict[int, list[Encoded]] = {}
        answers = {}
        for name in self.classifiers if names is None else names:
            classifier = self.classifiers[name]
            highest = (highest_scores or {}).get(name, math.inf)
            tokenizer = self._tokenizers[name]
            if tokenizer not in encoded and classifier._needs_ids(highest):
                encoded[tokenizer] = classifier._encode(texts)
            answers[name] = classifier._classify(
                texts,
                highest,
                batch_size=batch_size,
                windows=windows,
                encoded=encoded.get(tokenizer),
            )
        return answers

    def predict(
        self,
        texts: Sequence[str],
        *,
        abstain: float | None = None,
        threshold: float | None = None,
        unfamiliar: float | None = None,
    ) -> dict[str, list[Prediction]]:
        """Return the predictions of each question, in the order of the texts.

        The parameters, and the errors, are as in Classifier.predict, for each model file.
        """
        thresholds = {}
        scores = {}
        for name, classifier in self.classifiers.items():
            thresholds[name] = classifier.threshold(abstain=abstain, threshold=threshold)
            scores[name] = classifier.model.choose_unfamiliar_threshold(unfamiliar)
        return {
            name: list(
                self.classifiers[name]._predictions(
                    answers.statuses, answers.probabilities, thresholds[name]
                )
            )
            for name, answers in self.classify(texts, scores).items()
        }
