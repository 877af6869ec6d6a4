"""Texts → labels and probabilities: :class:`Classifier`, the one way to run a model."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, UNFAMILIAR, apply_thresholds, check_top, is_abstained
from edge_lstm.ending import gate
from edge_lstm.errors import DataError, ModelFileError, ProviderError, first_line
from edge_lstm.familiarity import unfamiliarity
from edge_lstm.machine import available_cores, memory_to_use
from edge_lstm.modelfile import INPUT_NAME, OUTPUT_NAME, ModelFile, open_model, parse_model
from edge_lstm.native import NATIVE, NativeSession, provider_of
from edge_lstm.parameters import check_numbers, instance, optional_whole, whole
from edge_lstm.parameters import path as checked_path
from edge_lstm.text import Status, to_matrix

if TYPE_CHECKING:
    import onnxruntime

TextStatus = Status | Literal["unfamiliar"]

# Texts of similar length in one run. What an LSTM keeps of a batch (four numbers a unit, step and
# text) has to stay in the cache, so networks of more units (of all directions) take fewer texts.
WIDE = 40
BATCH_SIZE_OF_WIDE, BATCH_SIZE_OF_NARROW = 8, 16
MAX_THREADS = 1024  # with many more, ONNX Runtime hangs instead of saying that there is no room
DEFAULT_PROVIDER = "CPUExecutionProvider"
# Providers that run on the CPU, by the name that ONNX Runtime gives them.
CPU_PROVIDERS = (
    "CPUExecutionProvider",
    "XnnpackExecutionProvider",
    "DnnlExecutionProvider",
    "OpenVINOExecutionProvider",
    "ACLExecutionProvider",
    "ArmNNExecutionProvider",
)


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    label: the most probable label, None where the text is unsure; probability: that of the best
        label.
    probabilities: every label with its probability, in the order of the model's output.
    status: ``ok``, ``empty`` (no words), ``unknown_words`` (no word of the vocabulary) or
        ``truncated`` (only the end of the text was read): such texts get an answer all the same,
        and so does one that is ``unfamiliar``, where that is asked for. ``abstained`` takes its
        place where the best label's probability is below the threshold.
    """

    label: str | None
    probability: float
    probabilities: dict[str, float]
    status: Status | Literal["abstained", "unfamiliar"]

    def top(self, k: int) -> list[tuple[str, float]]:
        """The ``k`` most probable labels with their probabilities, the most probable first; of
        equal ones the first in the order of the model's output. DataError unless k is from 1 to the
        number of labels."""
        k = whole("k", k, least=0)
        check_top(k, len(self.probabilities))
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    @property
    def labels(self) -> tuple[str, ...]:
        """The text's labels, the most probable first: here one, or none where the text is unsure;
        see :class:`SeveralPrediction`."""
        return () if self.label is None else (self.label,)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``edge-lstm predict --json``."""
        return asdict(self)


@dataclass(frozen=True)
class SeveralPrediction(Prediction):
    """The answer of a model that gives a text several labels; the text need not have ``label``, the
    best one.

    thresholds: for every label the probability from which on a text has it.
    """

    thresholds: dict[str, float]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels whose probability reaches their threshold, the most probable first; may be
        none."""
        every = self.top(len(self.probabilities))
        return tuple(label for label, probability in every if probability >= self.thresholds[label])

    def to_json(self) -> dict[str, Any]:
        """Plain values: the labels, every probability and threshold, and the status."""
        return {
            "labels": list(self.labels),
            "probabilities": self.probabilities,
            "thresholds": self.thresholds,
            "status": self.status,
        }


class Classification(NamedTuple):
    """Answers for n texts.

    probabilities: float32 [n, labels].
    statuses: the status of each text, before any abstention.
    """

    probabilities: npt.NDArray[np.float32]
    statuses: list[TextStatus]


@dataclass(frozen=True)
class _Settings:
    """How a session is made, see :meth:`Classifier.load`."""

    threads: int = 1
    provider: str = DEFAULT_PROVIDER
    arena: bool = True
    processes: int = 1


class Classifier:
    """A model file, loaded and ready to classify.

    >>> classifier = Classifier.load()
    >>> classifier.predict(["A wonderful film."])[0].label
    'pos'

    The probabilities of a text do not depend on the other texts of the call, on ``batch_size`` or on
    ``threads``: with an int8 file they are the same bits.

    Several Python threads may use one Classifier at once; the end of the interpreter waits for the run that a
    daemon thread has begun, and lets it begin no other. It can be pickled (with the bytes of its model file),
    and used in a forked process.
    """

    def __init__(
        self,
        model: ModelFile,
        session: onnxruntime.InferenceSession | NativeSession,
        *,
        settings: _Settings | None = None,
    ) -> None:
        """Use :meth:`load`."""
        self.model = model
        self._session = session
        self._settings = settings or _Settings()
        self._process = os.getpid()
        self._more = _run_options(self._settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: a session cannot be pickled, so the copy makes one of its own."""
        return _reload, (self.model.data, self.model.path, asdict(self._settings))

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        engine: str | None = None,
        threads: int = 1,
        provider: str = DEFAULT_PROVIDER,
        arena: bool = True,
        processes: int = 1,
    ) -> Classifier:
        """Load a model file.

        path: the file; None for the embedded model.
        engine: ``onnxruntime``, or ``native``, with edge-lstm-native, whose probabilities are
            within 1e-6 of ONNX Runtime's; None for what the variable EDGE_LSTM_ENGINE says, else
            onnxruntime.
        threads: threads inside one run. The network is small: a second thread rarely helps.
        provider: a CPU execution provider of the installed ONNX Runtime.
        arena: keep the memory of the largest batch so far for the next run. False gives it back to
            the system after every run and takes it anew, page by page, which costs time.
        processes: how many such as this one run models at once, and share the memory. The first
            Classifier of a process decides, and a copy that is pickled takes its process for one of
            several: one a core.

        A run may take half of the memory that the machine or its control group has, divided by
        ``processes``; more is a ModelFileError. (Not on Windows, which is not asked how much there
        is.) The native engine takes one thread and no provider. Raises DataError, ModelFileError
        (or a subclass), ProviderError or MissingPackageError, and like every method TypeError for a
        value of the wrong type.
        """
        provider = provider_of(engine, provider)
        opened = open_model(None if path is None else checked_path("path", path))
        return cls.from_model(
            opened, threads=threads, provider=provider, arena=arena, processes=processes
        )

    @classmethod
    def from_model(
        cls,
        model: ModelFile,
        *,
        threads: int = 1,
        provider: str = DEFAULT_PROVIDER,
        arena: bool = True,
        processes: int = 1,
    ) -> Classifier:
        """Like :meth:`load`, from a model file that is already open; provider may also be
        ``native``."""
        instance("model", model, ModelFile, "an open model file; load() takes its path")
        instance("arena", arena, bool)
        threads = whole("threads", threads, most=MAX_THREADS)
        settings = _Settings(
            threads, _check_provider(provider), arena, whole("processes", processes)
        )
        return cls(model, _session(model, settings), settings=settings)

    @property
    def runtime(self) -> str:
        """What runs the model, as people call it: ONNX Runtime with its version, or the native
        engine."""
        return (
            str(self._session) if isinstance(self._session, NativeSession) else _onnxruntime_name()
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of :meth:`probabilities`."""
        return self.model.labels

    def has_labels(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """probabilities: float32 [n, labels] → bool [n, labels], the labels that each text is
        given: those that reach their threshold, or the most probable of a model that gives one."""
        probabilities = np.asarray(probabilities)
        if probabilities.dtype.kind != "f":
            raise TypeError("probabilities must be float32 [n, labels]")
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.labels):
            raise DataError(
                f"probabilities must have a column for each of the {len(self.labels)} labels, "
                f"not the shape {list(probabilities.shape)}"
            )
        return apply_thresholds(probabilities, self.model.thresholds)

    @property
    def batch_size(self) -> int:
        """Texts in one run unless another number is given: what is fastest for a network of this
        width."""
        network = self.model.network
        units = int(network["hidden"]) * (2 if network.get("bidirectional") else 1)
        return BATCH_SIZE_OF_WIDE if units > WIDE else BATCH_SIZE_OF_NARROW

    def probabilities(
        self, texts: Sequence[str], *, batch_size: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Classify texts.

        texts: n of them.
        batch_size: texts in one run, see :meth:`probabilities_of`.

        Returns float32 [n, labels], in the order of the texts. A row sums to 1, except if the model
        gives a text several labels. Raises as :meth:`predict`.
        """
        return self._classify(texts, batch_size=batch_size).probabilities

    def _classify(
        self,
        texts: Sequence[str],
        highest_score: float = math.inf,
        *,
        batch_size: int | None = None,
    ) -> Classification:
        """Classify texts, with the status of each.

        highest_score: a text with known words is ``unfamiliar``, out of distribution (OOD), if its
            score (familiarity.py) is above this.
        batch_size: as in :meth:`probabilities_of`; the native engine takes the texts one by one.
        """
        texts = _check_texts(texts)
        batch_size = optional_whole("batch_size", batch_size)
        is_scored = highest_score < math.inf
        if isinstance(self._session, NativeSession) and not is_scored:
            answers, native_statuses = self._session.classify(texts)
            return Classification(self._checked(answers, len(texts)), native_statuses)
        encoded = [self.model.tokenizer.encode_text(text) for text in texts]
        ids = [text.ids for text in encoded]
        statuses: list[TextStatus] = [text.status for text in encoded]
        answers = self._answers(ids, batch_size)
        if is_scored:
            scores = unfamiliarity(answers, ids, self.model.tokenizer.num_ids)
            for i in np.flatnonzero(scores > highest_score).tolist():
                if statuses[i] in ("ok", "truncated"):
                    statuses[i] = UNFAMILIAR
        return Classification(answers, statuses)

    def probabilities_of(
        self, rows: Sequence[Sequence[int]], *, batch_size: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Token ids (each row at most ``length`` of them) → probabilities: float32 [n, labels].

        Rows run in batches of similar length, since a batch takes the time of its longest row, and
        come back in their own order. batch_size: None for :attr:`batch_size`. Raises DataError for
        ids that the model does not have, and for rows that are longer.
        """
        return self._answers(self._checked_ids(rows), optional_whole("batch_size", batch_size))

    def _checked_ids(self, rows: Any) -> list[npt.NDArray[Any]]:
        """Return rows of ids as arrays. Raises TypeError or DataError."""
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise TypeError(f"rows must be a list of lists of ids, not a {type(rows).__name__}")
        length, num_ids = self.model.tokenizer.length, self.model.tokenizer.num_ids
        arrays = []
        for i, row in enumerate(rows):
            ids = _as_ids(row)
            if ids is None:
                raise TypeError(f"rows[{i}] must be a list of ids, which are whole numbers")
            if len(ids) > length:
                raise DataError(f"rows[{i}] has {len(ids)} ids; the model takes at most {length}")
            if len(ids) and not (ids.min() >= 0 and ids.max() < num_ids):
                raise DataError(f"rows[{i}] has an id that is not from 0 to {num_ids - 1}")
            arrays.append(ids)
        return arrays

    def _answers(self, rows: Sequence[Any], batch_size: int | None) -> npt.NDArray[np.float32]:
        """Return what :meth:`probabilities_of` returns, for ids that are the model's."""
        step = batch_size or self.batch_size
        answers = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), step):
            chosen = order[start : start + step]
            answers[chosen] = self._run(
                to_matrix([rows[i] for i in chosen], self.model.tokenizer.length)
            )
        return answers

    def threshold(self, *, abstain: float | None = None, threshold: float | None = None) -> float:
        """The probability below which a text gets no label: the one given, or that from which on at
        most the share ``abstain`` of the answers is wrong, or that of the model file's own default,
        or 0.

        DataError where both are given, a value is out of range, or the file cannot say it.
        """
        check_numbers(abstain=abstain, threshold=threshold)
        return self.model.choose_threshold(abstain=abstain, threshold=threshold)

    def predict(
        self,
        texts: Sequence[str],
        *,
        abstain: float | None = None,
        threshold: float | None = None,
        unfamiliar: float | None = None,
        batch_size: int | None = None,
    ) -> list[Prediction]:
        """Texts → predictions, in order (:class:`SeveralPrediction` where a text may have several
        labels). Empty, unknown and truncated texts get one too and say so.

        abstain, threshold: see :meth:`threshold`. unfamiliar: give texts unlike those that the
        model learnt from the status ``unfamiliar``, and at most this share of the others, such as
        0.05; None: to none. Raises TypeError where texts is not a sequence of strings, DataError
        where the model file cannot say what is asked for, ModelFileError where the model gives no
        probabilities (NaN).
        """
        check_numbers(unfamiliar=unfamiliar)
        least = self.threshold(abstain=abstain, threshold=threshold)
        highest = self.model.choose_unfamiliar_threshold(unfamiliar)
        answers, statuses = self._classify(texts, highest, batch_size=batch_size)
        return list(self._predictions(statuses, answers, least))

    def _predictions(
        self, statuses: Sequence[Any], answers: npt.NDArray[np.float32], threshold: float
    ) -> Iterator[Prediction]:
        abstained = is_abstained(answers.max(axis=1, initial=0), threshold).tolist()
        values = self.model.thresholds
        thresholds = None if values is None else dict(zip(self.labels, values))
        for status, best, row, left_out in zip(
            statuses, answers.argmax(axis=1).tolist(), answers.tolist(), abstained
        ):
            probabilities = dict(zip(self.labels, row))
            if thresholds is not None:
                yield SeveralPrediction(
                    self.labels[best], row[best], probabilities, status, thresholds
                )
                continue
            yield Prediction(
                label=None if left_out else self.labels[best],
                probability=row[best],
                probabilities=probabilities,
                status=ABSTAINED if left_out else status,
            )

    def _run(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """ids: int32 [batch, length] → float32 [batch, labels], one run of the session."""
        if self._process != os.getpid() and self._settings.threads > 1:
            # A fork copies the memory but none of the threads: a run would wait for them without
            # end, and so would the end of the old session, which is kept for that reason.
            self._inherited = self._session
            self._session, self._process = _session(self.model, self._settings), os.getpid()
        try:
            with gate.passed():
                answers: npt.NDArray[np.float32] = self._session.run(
                    [OUTPUT_NAME], {INPUT_NAME: ids}, *self._more
                )[0]
        # ONNX Runtime raises its own types, which differ between releases
        except Exception as error:
            if _is_about_memory(error):
                raise _needs_memory(self.model) from error
            raise ModelFileError(
                f"{self.runtime} cannot run {self.model.path} "
                f"({first_line(error)}); export it again, or try 'edge-lstm doctor'"
            ) from error
        return self._checked(answers, len(ids))

    def _checked(self, answers: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
        # No comparison with NaN holds.
        if answers.shape != (count, len(self.labels)) or not (
            np.all(answers >= 0) and np.all(answers <= 1.01)
        ):
            raise ModelFileError(
                f"{self.model.path} gives values that are not probabilities (NaN or out of range); "
                "its weights are damaged or badly trained: train or export it again"
            )
        return answers


def available_providers() -> list[str]:
    """CPU execution providers of the installed ONNX Runtime."""
    import onnxruntime

    return [name for name in CPU_PROVIDERS if name in onnxruntime.get_available_providers()]


def _onnxruntime_name() -> str:
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def _check_provider(provider: str) -> str:
    instance("provider", provider, str, "a string")
    if provider == NATIVE:
        return provider
    names = {name.lower().removesuffix("executionprovider"): name for name in available_providers()}
    name = names.get(provider.lower().removesuffix("executionprovider"))
    if name is None:
        raise ProviderError(
            f"execution provider {provider!r} is not a CPU provider of the installed {_onnxruntime_name()}; "
            f"available: {', '.join(names.values())}"
        )
    return name


def _check_texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts must be a list of strings, not one string; write [text]")
    # a data frame: its items are column names
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise TypeError(
            f"texts must be a list of strings, not a {type(texts).__name__}; give a column"
        )
    if not isinstance(texts, Iterable):
        raise TypeError(f"texts must be a list of strings, not a {type(texts).__name__}")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be a string, not {type(text).__name__}")
    return texts


def _as_ids(row: Any) -> npt.NDArray[Any] | None:
    """Return a row of whole numbers as an array; None where it is none. Numbers of any size
    count."""
    try:
        ids = np.asarray(row)
    except ValueError:  # lists of several lengths
        return None
    if ids.ndim != 1:
        return None
    if not ids.size:
        return ids.astype(np.int32)
    is_whole = ids.dtype.kind in "iu" or (
        ids.dtype.kind == "O" and all(type(each) is int for each in ids)
    )
    return ids if is_whole else None


def _reload(data: bytes, path: Path, settings: dict[str, Any]) -> Classifier:
    if settings["provider"] != NATIVE:
        processes = max(settings["processes"], available_cores())
        _arena.bound(processes=processes, is_kept=settings["arena"])
    return Classifier.from_model(parse_model(data, path), **settings)


def _session(model: ModelFile, settings: _Settings) -> onnxruntime.InferenceSession | NativeSession:
    if settings.provider == NATIVE:
        return NativeSession(model.data, model.path)
    import onnxruntime

    threads, provider = settings.threads, settings.provider
    _check_room_for(threads - 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads would spin: on a small device that is the battery.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    is_bounded = _arena.bound(processes=settings.processes, is_kept=settings.arena)
    options.enable_cpu_mem_arena = settings.arena or is_bounded
    if is_bounded:
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = False  # a plan for one shape of input: batches differ in length
    options.log_severity_level = 4  # what goes wrong is raised; ONNX Runtime's own log stays silent
    providers: list[Any] = [provider]
    if provider != DEFAULT_PROVIDER:
        if provider == "XnnpackExecutionProvider":
            providers = [(provider, {"intra_op_num_threads": str(threads)})]
        providers.append(DEFAULT_PROVIDER)  # for the operators the provider does not take
    try:
        with gate.passed():
            return onnxruntime.InferenceSession(model.data, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises its own types, which differ between releases
        if _is_about_memory(error):
            raise _needs_memory(model) from error
        reason = first_line(error)
        if provider != DEFAULT_PROVIDER:
            raise ProviderError(
                f"{provider} cannot load {model.path}: {reason}; leave it out"
            ) from error
        raise ModelFileError(
            f"{_onnxruntime_name()} cannot load {model.path}: {reason}; upgrade onnxruntime"
        ) from error


class _Arena:
    """The memory that all sessions of this process take from, bounded when the first of them is
    made.

    A graph can be made that asks for any amount, in ways that its file does not show: it gets an
    error. Without a bound the system would end this process, or another one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_bounded: bool | None = None

    def bound(self, *, processes: int = 1, is_kept: bool = True) -> bool:
        """Bound the memory to half of the machine's, divided by the processes that run models at
        once.

        is_kept: whether memory is kept for the next run. Only the first call counts. → whether
        there is a bound.
        """
        with self._lock:
            if self._is_bounded is None:
                self._is_bounded = _register_arena(processes, is_kept)
            return self._is_bounded


_arena = _Arena()


def _register_arena(processes: int, is_kept: bool) -> bool:
    import onnxruntime

    limit = memory_to_use()
    if limit is None:
        return False
    try:
        memory = onnxruntime.OrtMemoryInfo(
            "Cpu",
            onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
            0,
            onnxruntime.OrtMemType.DEFAULT,
        )
        # It doubles, or grows by what is asked for, which takes less at once and more in the long
        # run.
        growth = 0 if is_kept else 1
        config = onnxruntime.OrtArenaCfg(limit // 2 // processes, growth, -1, -1)
        onnxruntime.create_and_register_allocator(memory, config)
    except Exception:  # another part of this program registered one; each session then has its own
        return False
    return True


def _run_options(settings: _Settings) -> list[Any]:
    """What a run is given beside its input: without an arena of its own, a session returns what it
    can."""
    if settings.provider == NATIVE or settings.arena or not _arena.bound():
        return []
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return [options]


def _is_about_memory(error: Exception) -> bool:
    """Whether there was not enough memory: ONNX Runtime's arena says so, or C++, or Python."""
    return isinstance(error, MemoryError) or any(
        part in str(error) for part in ("memory", "bad_alloc")
    )


def _needs_memory(model: ModelFile) -> ModelFileError:
    return ModelFileError(
        f"{model.path} needs more memory than a run may take; "
        "use a smaller --batch-size, fewer --workers, or another model"
    )


def _check_room_for(threads: int) -> None:
    """Raise where the system lets this process have no more threads: ONNX Runtime would hang or
    abort."""
    done = Event()
    started = []
    try:
        for _ in range(threads):
            started.append(Thread(target=done.wait))
            started[-1].start()
    except RuntimeError:
        raise ProviderError(
            f"cannot start {threads} more threads; use fewer --threads, "
            "or raise its limit (ulimit -u, pids.max)"
        ) from None
    finally:
        done.set()
        running = [thread.native_id for thread in started if thread.ident is not None]
        # join() returns a little before the system counts the thread as gone.
        deadline = time.monotonic() + 0.5
        while (
            any(Path(f"/proc/self/task/{n}").exists() for n in running)
            and time.monotonic() < deadline
        ):
            time.sleep(0.0002)
