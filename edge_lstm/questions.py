"""Several questions on the same texts: a model file answers each, in one pass over the texts."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edge_lstm.classifier import Classification, Classifier, Prediction
from edge_lstm.errors import DataError
from edge_lstm.text import Encoded, Tokenizer

# The name of a question. It becomes a part of the names of columns.
_NAME = re.compile(r"\w[\w-]{0,63}")


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


def split_name(given: str) -> tuple[str | None, str]:
    """Split ``team=team.onnx`` into the name of a question, or None, and the path of its file.

    A name has letters, digits, _ and -. A file that exists under the whole string is that file.

    Raises DataError if the path is missing.
    """
    name, equals, path = given.partition("=")
    if not equals or _NAME.fullmatch(name) is None or os.path.lexists(given):
        return None, given
    if not path:
        raise DataError(f"{given} names no file; write it as in {name}=model.onnx")
    return name, path


def parse_models(given: Sequence[str], *, by_file: bool = False) -> dict[str, str]:
    """Return name of the question → path.

    by_file: a file without a name gives its own, up to the first dot.

    Raises DataError if a name is missing or given twice.
    """
    models: dict[str, str] = {}
    for name, path in map(split_name, given):
        own = Path(path).name.partition(".")[0]
        if name is None and by_file and _NAME.fullmatch(own) is not None:
            name = own
        if name is None:
            raise DataError(f"the model {path} needs a name; write NAME={path}")
        if name in models:
            raise DataError(f"two models have the name {name}; give each its own, NAME={path}")
        models[name] = path
    return models


def one_or_several(given: Sequence[str] | None) -> str | dict[str, str] | None:
    """Return the one model without a name, None for none, or name of the question → path.

    Raises DataError as :func:`parse_models`.
    """
    if not given:
        return None
    name, path = split_name(given[0])
    return path if name is None and len(given) == 1 else parse_models(given)


def question_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the checkpoint of each question in a folder.

    Raises DataError if a name cannot be one of a question, or is given twice.
    """
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise DataError(f"the column {name!r} cannot name a question; train it by itself")
        if names.count(name) > 1:
            raise DataError(f"the column {name} is named twice; name each once")
    return [folder / f"{name}.safetensors" for name in names]
