"""The model files of a server: one for each question, replaced while it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.decide import Policy, Prediction
from edge_lstm.core.engine import Engine
from edge_lstm.core.fields import RowText
from edge_lstm.core.modelfile import open_model
from edge_lstm.core.questions import Questions
from edge_lstm.errors import DataError, EdgeLSTMError, RequestError
from edge_lstm.printable import shorten
from edge_lstm.serving.protocol import AnswerKind, answer_kind

# A file's number, size and time: another one says that it was changed.
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Settings:
    """How the files answer.

    abstain: the share of sure answers that may be wrong; None for each file's default.
    unfamiliar: the share of familiar texts that may be called unfamiliar; None: look at no text.
    """

    engine: Engine
    abstain: float | None = None
    unfamiliar: float | None = None


@dataclass(frozen=True)
class ServedModel:
    """A loaded model file.

    policy: which answers are sure.
    kind: of its answers; None if a text may have several labels.
    sha256: of the file.
    date: of the file's last change, YYYY-MM-DD, in UTC.
    """

    path: Path
    classifier: Classifier
    policy: Policy
    kind: AnswerKind | None
    sha256: str
    date: str

    @property
    def is_always_sure(self) -> bool:
        """Whether every answer counts as sure, for lack of a threshold."""
        return not self.policy.threshold and self.policy.unfamiliar is None


class Answer(NamedTuple):
    """A file's answer to a text.

    model: the file as it was then.
    prediction: the answer as ``predict`` gives it.
    """

    model: ServedModel
    prediction: Prediction

    @property
    def is_sure(self) -> bool:
        """Whether the answer may be given without the upstream.

        With a share for unfamiliar texts, a text without known words is not familiar either.
        """
        status = self.prediction.status
        if self.model.policy.unfamiliar is None:
            return status != "abstained"
        return status in ("ok", "truncated")


class Models:
    """The files by question.

    ``refresh`` may run in another thread than ``classify``: it changes one reference at its end.
    """

    def __init__(self, paths: Mapping[str, Path], settings: Settings) -> None:
        """Load the files.

        paths: name of the question → its file.

        Raises DataError or ModelFileError if a file is unusable with these settings.
        """
        self._paths = dict(paths)
        self._settings = settings
        self._stamps = {name: _stamp(path) for name, path in paths.items()}
        self._take({name: self._load(path, self._stamps[name]) for name, path in paths.items()})

    @property
    def served(self) -> dict[str, ServedModel]:
        """The files in use, by question."""
        return self._state[0]

    def _take(self, served: dict[str, ServedModel]) -> None:
        questions = Questions({name: each.classifier for name, each in served.items()})
        # Together, so that no request sees a part of a change.
        self._state = (served, questions)

    def _load(self, path: Path, stamp: _Stamp | None) -> ServedModel:
        settings = self._settings
        classifier = Classifier(open_model(path), settings.engine)
        is_single = classifier.model.thresholds is None
        abstain = settings.abstain if is_single else None
        unfamiliar = settings.unfamiliar if is_single else None
        # The first run is slower than the others.
        classifier.predict([""] if classifier.model.fields is None else [{}])
        return ServedModel(
            path=path,
            classifier=classifier,
            policy=Policy.of(classifier.model, abstain=abstain, unfamiliar=unfamiliar),
            kind=answer_kind(classifier.model.question, classifier.labels) if is_single else None,
            sha256=classifier.model.sha256(),
            date=_date(stamp),
        )

    def refresh(self) -> list[tuple[str, EdgeLSTMError | None]]:
        """Load the files that were changed since they were last looked at.

        Returns each question with a changed file, and the reason if the file is unusable: the old
        one stays then. A file that is gone stays in use.
        """
        changes: list[tuple[str, EdgeLSTMError | None]] = []
        served = dict(self.served)
        for name, path in self._paths.items():
            stamp = _stamp(path)
            if stamp is None or stamp == self._stamps[name]:
                continue
            self._stamps[name] = stamp
            try:
                served[name] = self._load(path, stamp)
            except EdgeLSTMError as error:
                changes.append((name, error))
            else:
                changes.append((name, None))
        if any(error is None for _, error in changes):
            self._take(served)
        return changes

    def check(self, text: RowText, names: Collection[str]) -> None:
        """Check that a file can read a text.

        names: its questions.
        Raises RequestError if it cannot.
        """
        for name in names:
            model = self.served[name].classifier.model
            try:
                model.as_text(text)
            except DataError as error:
                raise RequestError(f"question {shorten(name)}: {error}") from None

    def classify(
        self, texts: Sequence[RowText], names: Sequence[frozenset[str]]
    ) -> list[dict[str, Answer]]:
        """Classify texts.

        names: the questions of each text; a name that no file has is left out.

        Returns the answers of each text, by question.
        """
        served, questions = self._state
        found: list[dict[str, Answer]] = [{} for _ in texts]
        groups: dict[frozenset[str], list[int]] = {}
        for i, asked in enumerate(names):
            groups.setdefault(asked, []).append(i)
        for asked, rows in groups.items():
            policies = {name: each.policy for name, each in served.items() if name in asked}
            answers = questions.classify([texts[i] for i in rows], policies)
            for name, decisions in answers.items():
                for i, prediction in zip(rows, decisions.predictions):
                    found[i][name] = Answer(served[name], prediction)
        return found


def _stamp(path: Path) -> _Stamp | None:
    """Return numbers that change with a file; None for a missing file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def _date(stamp: _Stamp | None) -> str:
    seconds = 0.0 if stamp is None else stamp[2] / 1e9
    return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()
