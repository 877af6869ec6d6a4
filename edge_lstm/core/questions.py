"""Several questions on the same texts: a model file answers each, in one pass over the texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_lstm.core.classifier import Classifier, Row
from edge_lstm.core.decide import Decisions, Policy
from edge_lstm.core.engine import Engine, chosen_engine
from edge_lstm.core.fields import Fields
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
        numbers: dict[tuple[Tokenizer, Fields | None], int] = {}
        # Numbered here and not for each batch: a comparison reads the whole vocabulary.
        self._tokenizers = {
            name: numbers.setdefault((each.model.tokenizer, each.model.fields), len(numbers))
            for name, each in self.classifiers.items()
        }

    @classmethod
    def load(
        cls, paths: Mapping[str, str | Path | None], *, engine: Engine | str | None = None
    ) -> Questions:
        """Load a model file for each question.

        paths: name of the question → its model file; None for the embedded model.

        The engine, and the errors, are as in Classifier.load.
        """
        chosen = chosen_engine(engine)
        return cls({name: Classifier.load(path, engine=chosen) for name, path in paths.items()})

    def classify(
        self,
        texts: Sequence[Row | None],
        policies: Mapping[str, Policy],
    ) -> dict[str, Decisions]:
        """Classify texts.

        texts: see Classifier.classify.
        policies: name of each question to answer → its policy.

        Raises ModelFileError if a model gives no probabilities.
        """
        encoded: dict[int, list[Encoded] | None] = {}
        answers = {}
        for name, policy in policies.items():
            classifier = self.classifiers[name]
            tokenizer = self._tokenizers[name]
            if encoded.get(tokenizer) is None:
                encoded[tokenizer] = classifier.encode(texts)
            answers[name] = classifier.classify(texts, policy, encoded=encoded[tokenizer])
        return answers
