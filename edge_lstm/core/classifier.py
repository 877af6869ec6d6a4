"""Classifier: from texts to labels and probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_lstm.checked import instance, optional_whole
from edge_lstm.checked import path as checked_path
from edge_lstm.core.decide import (
    ERROR,
    OK,
    STATUSES,
    TRUNCATED,
    Decisions,
    Policy,
    Prediction,
    are_probabilities,
    decide,
    mark_unfamiliar,
    not_probabilities,
)
from edge_lstm.core.engine import Engine, chosen_engine
from edge_lstm.core.modelfile import ModelFile, open_model, parse_model
from edge_lstm.core.native import NativeSession
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.core.text import Encoded, to_matrix
from edge_lstm.errors import DataError
from edge_lstm.printable import well_formed
from edge_lstm.system.machine import available_cores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# A text, or the object that a model with fields reads.
Row: TypeAlias = "str | Mapping[str, Any]"

# Texts in one run. The values that an LSTM keeps for a batch (four for each unit, step and text)
# have to stay in the cache, so a network with more than WIDE units, all directions together, takes
# fewer texts.
WIDE = 40
BATCH_SIZE_OF_WIDE = 8
BATCH_SIZE_OF_NARROW = 16


class Classifier:
    """A model file, loaded and ready to classify.

    >>> classifier = Classifier.load()
    >>> classifier.predict(["A wonderful film."])[0].label
    'pos'

    A text is a string. If the model has fields, it is an object of fields (a dict, or its JSON).

    The probabilities of a text do not depend on the other texts of the call, on ``batch_size`` or
    on ``threads``. With an int8 file, even the bits are the same.

    Several Python threads may use one Classifier at once. When the interpreter ends, it waits for
    the runs that daemon threads have started, and they can start no more. A Classifier can be
    pickled (with the bytes of its model file), and used in a forked process.
    """

    def __init__(self, model: ModelFile, engine: Engine = OnnxRuntime()) -> None:
        """Make a classifier from a model file that is already open.

        engine: runs it.

        The errors are as in :meth:`load`.
        """
        instance("model", model, ModelFile, "an open model file; load() takes its path")
        instance("engine", engine, Engine, "an OnnxRuntime or a Native; load() takes a name")
        self.model = model
        self.engine = engine
        self._session = engine.open(model)
        # The native engine reads texts and decides, too.
        self._native = self._session if isinstance(self._session, NativeSession) else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell pickle how to make a copy: with a session of its own, as none can be pickled."""
        return _reload, (self.model.data, self.model.path, self.engine)

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, engine: Engine | str | None = None
    ) -> Classifier:
        """Load a model file.

        path: the file; None for the embedded model.
        engine: an :class:`OnnxRuntime` or a :class:`Native`, or a name: ``onnxruntime``,
            ``onnxruntime:XNNPACK`` or ``native``. None: the name in the variable EDGE_LSTM_ENGINE,
            else ``onnxruntime``.

        Raises DataError if the file cannot be read, ModelFileError (or a subclass) if it is
        unusable, ProviderError, MissingPackageError if the engine is not installed, and, like every
        method, TypeError for a value of the wrong type.
        """
        chosen = chosen_engine(engine)
        return cls(open_model(None if path is None else checked_path("path", path)), chosen)

    @property
    def runtime(self) -> str:
        """The engine's name, for people: ONNX Runtime with its version, or the native engine."""
        return str(self._session)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of :meth:`probabilities`."""
        return self.model.labels

    @cached_property
    def batch_size(self) -> int:
        """Texts in one run by default: the fastest number for a network of this width."""
        widths = [lstm.units * lstm.directions for lstm in self.model.network.lstms]
        return BATCH_SIZE_OF_WIDE if max(widths, default=0) > WIDE else BATCH_SIZE_OF_NARROW

    def probabilities(
        self, texts: Sequence[Row], *, batch_size: int | None = None, windows: bool = False
    ) -> npt.NDArray[np.float32]:
        """Classify texts.

        texts: n of them.
        batch_size: texts in one run; None for :attr:`batch_size`.
        windows: see :meth:`predict`.

        Returns float32 [n, labels], in the order of the texts. A row sums to 1, except if the model
        gives a text several labels. Raises TypeError if texts is not a sequence of strings,
        ModelFileError if the model gives no probabilities (NaN).
        """
        import numpy as np

        instance("windows", windows, bool)
        texts = self._texts(texts)
        data, _ = self._read(
            texts, Policy(windows=windows), optional_whole("batch_size", batch_size)
        )
        answers = np.frombuffer(data, np.float32).reshape(len(texts), len(self.labels))
        if not are_probabilities(answers):
            raise not_probabilities(self.model)
        return answers

    def classify(
        self,
        texts: Sequence[Row | None],
        policy: Policy | None = None,
        *,
        batch_size: int | None = None,
        encoded: Sequence[Encoded] | None = None,
    ) -> Decisions:
        """Classify texts, and decide on a label for each, or none.

        texts: n of them; a missing one is None, and gets no label and the status ``error``.
        policy: decides; None for the model file's default.
        batch_size: texts in one run; None for :attr:`batch_size`.
        encoded: what :meth:`encode` returns for these texts; None: it is made here.

        Returns columns of the answers, and :attr:`Decisions.predictions`. Raises TypeError if texts
        is not a sequence of strings, ModelFileError if the model gives no probabilities (NaN).
        """
        policy = Policy.of(self.model) if policy is None else policy
        instance("policy", policy, Policy)
        texts = self._texts(texts, (str, NoneType))
        batch_size = optional_whole("batch_size", batch_size)
        answers, read = self._read(texts, policy, batch_size, encoded)
        return decide(self.model, policy, answers, read, self._native)

    def encode(self, texts: Sequence[Row | None]) -> list[Encoded] | None:
        """Return the ids and the status of each text; None if the engine makes them by itself."""
        if self._native is not None:
            return None
        as_text = self.model.as_text
        encode = self.model.tokenizer.encode_text
        return [encode("" if text is None else as_text(text)) for text in texts]

    def _texts(self, texts: Any, kinds: tuple[type, ...] = (str,)) -> list[Any]:
        """Return texts as the text rule reads them; missing ones stay None."""
        if self.model.fields is not None:
            kinds = (*kinds, Mapping)
        as_text = self.model.as_text
        return [None if row is None else as_text(row) for row in _check_texts(texts, kinds)]

    def _read(
        self,
        texts: Sequence[Any],
        policy: Policy,
        batch_size: int | None,
        encoded: Sequence[Encoded] | None = None,
    ) -> tuple[bytes, bytes]:
        """Return the probabilities and the statuses of texts, as Decisions has them."""
        if self._native is not None:
            answers, read = self._native.classify(texts, policy.unfamiliar)
        else:
            answers, read = self._run_all(texts, policy, batch_size, encoded or self.encode(texts))
        if not policy.windows or TRUNCATED not in read:
            return answers, read
        import numpy as np

        from edge_lstm.core.windows import classify_in_windows

        def classify(pieces: list[str]) -> tuple[npt.NDArray[np.float32], list[bool]]:
            data, read = self._read(pieces, Policy(), batch_size)
            found = np.frombuffer(data, np.float32).reshape(len(pieces), -1)
            return found, [code == TRUNCATED for code in read]

        rows = np.frombuffer(answers, np.float32).reshape(len(texts), -1).copy()
        long = [i for i, code in enumerate(read) if code == TRUNCATED]
        whole = [well_formed(texts[i]).encode() for i in long]
        rows[long] = classify_in_windows(
            whole, classify, is_multi_label=self.model.thresholds is not None
        )
        return rows.tobytes(), read.replace(bytes([TRUNCATED]), bytes([OK]))

    def _run_all(
        self,
        texts: Sequence[str | None],
        policy: Policy,
        batch_size: int | None,
        encoded: Any,
    ) -> tuple[bytes, bytes]:
        """Return the same, by ONNX Runtime."""
        ids = [text.ids for text in encoded]
        answers = self._answers(ids, batch_size)
        read = bytes([STATUSES.index(text.status) for text in encoded])
        if policy.highest_score < math.inf:
            from edge_lstm.core.familiarity import unfamiliarity

            scores = unfamiliarity(answers, ids, self.model.tokenizer)
            read = mark_unfamiliar(read, scores, policy.highest_score)
        if None in texts:
            missing = [i for i, text in enumerate(texts) if text is None]
            answers[missing] = math.nan
            read = bytes([ERROR if text is None else code for text, code in zip(texts, read)])
        return answers.tobytes(), read

    def probabilities_of(
        self, rows: Sequence[Sequence[int]], *, batch_size: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Classify texts that are given as token ids.

        rows: n lists of ids, each of at most the model's ``length``, without padding.
        batch_size: rows in one run; None for :attr:`batch_size`. Rows of similar length run
            together, since a batch takes the time of its longest row.

        Returns float32 [n, labels], in the order of the rows. Raises DataError for an id that the
        model does not have, and for a row that is too long.
        """
        return self._answers(self._checked_ids(rows), optional_whole("batch_size", batch_size))

    def _checked_ids(self, rows: Any) -> list[Sequence[int]]:
        """Return rows of ids as lists. Raises TypeError or DataError."""
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise TypeError(f"rows must be a list of lists of ids, not a {type(rows).__name__}")
        length = self.model.tokenizer.length
        most = self.model.tokenizer.num_ids - 1
        checked: list[Sequence[int]] = []
        for i, row in enumerate(rows):
            ids = row.tolist() if hasattr(row, "tolist") else row
            if not isinstance(ids, (list, tuple)) or any(type(each) is not int for each in ids):
                raise TypeError(f"rows[{i}] must be a list of ids, which are whole numbers")
            if len(ids) > length:
                raise DataError(f"rows[{i}] has {len(ids)} ids; the model takes at most {length}")
            if ids and not 0 <= min(ids) <= max(ids) <= most:
                raise DataError(f"rows[{i}] has an id that is not from 0 to {most}")
            checked.append(ids)
        return checked

    def _answers(self, rows: Sequence[Any], batch_size: int | None) -> npt.NDArray[np.float32]:
        """Classify checked ids, see :meth:`probabilities_of`."""
        import numpy as np

        step = batch_size or self.batch_size
        length = self.model.tokenizer.length
        if len(rows) == 1:
            return self._run(to_matrix(rows, length))
        answers = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), step):
            chosen = order[start : start + step]
            answers[chosen] = self._run(to_matrix([rows[i] for i in chosen], length))
        return answers

    def predict(
        self,
        texts: Sequence[Row],
        *,
        abstain: float | None = None,
        threshold: float | None = None,
        unfamiliar: float | None = None,
        batch_size: int | None = None,
        windows: bool = False,
    ) -> list[Prediction]:
        """Classify texts; each gets a prediction, in the order of the texts.

        The predictions of a multi-label model are :class:`MultiLabelPrediction`, the ones of a
        score :class:`ScorePrediction`. Empty, unknown and truncated texts get a prediction too,
        with that status.

        texts: the texts.
        abstain, threshold: when to abstain, see :meth:`edge_lstm.Policy.of`.
        unfamiliar: mark texts that are out of distribution (OOD) with the status ``unfamiliar``,
            and at most this share of the other texts, such as 0.05. None: mark no text.
        batch_size: texts in one run; None for :attr:`batch_size`.
        windows: read a text that is longer than the model's ``length`` in windows, and take the
            mean of their logits. False: read its end, with the status ``truncated``.

        Raises TypeError if texts is not a sequence of strings, DataError if the model file has no
        threshold for a share, or if ``windows`` and ``unfamiliar`` are given, ModelFileError if the
        model gives no probabilities (NaN).
        """
        policy = Policy.of(
            self.model,
            abstain=abstain,
            threshold=threshold,
            unfamiliar=unfamiliar,
            windows=windows,
        )
        return self.classify(self._texts(texts), policy, batch_size=batch_size).predictions

    def _run(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Run the session once. ids: int32 [batch, length]. Returns float32 [batch, labels]."""
        answers = self._session.run(ids)
        if answers.shape != (len(ids), len(self.labels)) or not are_probabilities(answers):
            raise not_probabilities(self.model)
        return answers


def _check_texts(texts: Iterable[Any], kinds: tuple[type, ...]) -> list[Any]:
    """Return texts as a list. kinds: what each must be."""
    how = ""
    if isinstance(texts, (str, bytes)):
        how = "; write [text]"
    # The items of a data frame are the names of its columns.
    elif isinstance(texts, Mapping) or hasattr(texts, "columns"):
        how = "; give a column"
    if how or not isinstance(texts, Iterable):
        raise TypeError(f"texts must be a list of strings, not a {type(texts).__name__}{how}")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, kinds):
            what = "a string or an object" if Mapping in kinds else "a string"
            raise TypeError(f"texts[{i}] must be {what}, not {type(text).__name__}")
    return texts


def _reload(data: bytes, path: Path, engine: Engine) -> Classifier:
    """Make the copy of a pickled classifier."""
    if isinstance(engine, OnnxRuntime):
        engine = replace(engine, processes=max(engine.processes, available_cores()))
    return Classifier(parse_model(data, path), engine)
