"""Classifier: from texts to labels and probabilities."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from types import NoneType
from typing import TYPE_CHECKING, Any

from edge_lstm.checked import instance, optional_whole, whole
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
from edge_lstm.core.modelfile import INPUT_NAME, OUTPUT_NAME, ModelFile, open_model, parse_model
from edge_lstm.core.native import NATIVE, ONNXRUNTIME, NativeSession, engine_name
from edge_lstm.core.text import Encoded, to_matrix
from edge_lstm.errors import DataError, ModelFileError, ProviderError, first_line
from edge_lstm.printable import well_formed
from edge_lstm.system.ending import gate
from edge_lstm.system.machine import available_cores, memory_to_use

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnxruntime

# Texts in one run. The values that an LSTM keeps for a batch (four for each unit, step and text)
# have to stay in the cache, so a network with more than WIDE units, all directions together, takes
# fewer texts.
WIDE = 40
BATCH_SIZE_OF_WIDE = 8
BATCH_SIZE_OF_NARROW = 16

# With many more, ONNX Runtime hangs instead of raising an error.
MAX_THREADS = 1024

# Providers that run on the CPU, by ONNX Runtime's names.
DEFAULT_PROVIDER = "CPUExecutionProvider"
CPU_PROVIDERS = (
    DEFAULT_PROVIDER,
    "XnnpackExecutionProvider",
    "DnnlExecutionProvider",
    "OpenVINOExecutionProvider",
    "ACLExecutionProvider",
    "ArmNNExecutionProvider",
)


@dataclass(frozen=True)
class _Settings:
    """Settings of a session, see :meth:`Classifier.load`."""

    engine: str = ONNXRUNTIME
    threads: int = 1
    arena: bool = True
    processes: int = 1


class Classifier:
    """A model file, loaded and ready to classify.

    >>> classifier = Classifier.load()
    >>> classifier.predict(["A wonderful film."])[0].label
    'pos'

    The probabilities of a text do not depend on the other texts of the call, on ``batch_size`` or
    on ``threads``. With an int8 file, even the bits are the same.

    Several Python threads may use one Classifier at once. When the interpreter ends, it waits for
    the runs that daemon threads have started, and they can start no more. A Classifier can be
    pickled (with the bytes of its model file), and used in a forked process.
    """

    def __init__(
        self,
        model: ModelFile,
        session: onnxruntime.InferenceSession | NativeSession,
        *,
        settings: _Settings | None = None,
    ) -> None:
        """Set up a classifier; use :meth:`load` instead."""
        self.model = model
        self._session = session
        self._settings = settings or _Settings()
        self._process = os.getpid()
        self._more = _run_options(self._settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell pickle how to make a copy: with a session of its own, as none can be pickled."""
        return _reload, (self.model.data, self.model.path, asdict(self._settings))

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        engine: str | None = None,
        threads: int = 1,
        arena: bool = True,
        processes: int = 1,
    ) -> Classifier:
        """Load a model file.

        path: the file; None for the embedded model.
        engine: ``onnxruntime``; ``onnxruntime:XNNPACK`` or another CPU execution provider of the
            installed ONNX Runtime; or ``native``, which needs the package edge-lstm-native; its
            probabilities are within 1e-6 of ONNX Runtime's. None: the value of the variable
            EDGE_LSTM_ENGINE, else ``onnxruntime``.
        threads: threads inside one run, 1 to 1024. A second one rarely helps, because the network
            is small. The native engine uses one.
        arena: keep the memory of the largest batch so far for the next run. False: return it to the
            system after every run. The next run then requests it again, which costs time.
        processes: number of processes that run models at once and share the memory. The first
            Classifier of a process sets it. A pickled copy assumes one process for each core.

        A run may take half of the memory of the machine or its control group, divided by
        ``processes``; a run that needs more raises ModelFileError. Windows has no such limit.

        Raises DataError if the file cannot be read, ModelFileError (or a subclass) if it is
        unusable, ProviderError, MissingPackageError if the engine is not installed, and, like every
        method, TypeError for a value of the wrong type.
        """
        engine = engine_name(engine)
        opened = open_model(None if path is None else checked_path("path", path))
        return cls.from_model(
            opened, engine=engine, threads=threads, arena=arena, processes=processes
        )

    @classmethod
    def from_model(
        cls,
        model: ModelFile,
        *,
        engine: str = ONNXRUNTIME,
        threads: int = 1,
        arena: bool = True,
        processes: int = 1,
    ) -> Classifier:
        """Make a classifier from a model file that is already open.

        The parameters, and the errors, are as in :meth:`load`.
        """
        instance("model", model, ModelFile, "an open model file; load() takes its path")
        instance("arena", arena, bool)
        threads = whole("threads", threads, most=MAX_THREADS)
        processes = whole("processes", processes)
        settings = _Settings(engine_name(engine), threads, arena, processes)
        return cls(model, _session(model, settings), settings=settings)

    @property
    def runtime(self) -> str:
        """The engine's name, for people: ONNX Runtime with its version, or the native engine."""
        if isinstance(self._session, NativeSession):
            return str(self._session)
        return _onnxruntime_name()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of :meth:`probabilities`."""
        return self.model.labels

    @property
    def batch_size(self) -> int:
        """Texts in one run by default: the fastest number for a network of this width."""
        widths = [lstm.units * lstm.directions for lstm in self.model.network.lstms]
        units = max(widths, default=0)
        return BATCH_SIZE_OF_WIDE if units > WIDE else BATCH_SIZE_OF_NARROW

    def probabilities(
        self, texts: Sequence[str], *, batch_size: int | None = None, windows: bool = False
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
        texts = _check_texts(texts)
        data, _ = self._read(
            texts, Policy(windows=windows), optional_whole("batch_size", batch_size)
        )
        answers = np.frombuffer(data, np.float32).reshape(len(texts), len(self.labels))
        if not are_probabilities(answers):
            raise not_probabilities(self.model)
        return answers

    def classify(
        self,
        texts: Sequence[str | None],
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
        texts = _check_texts(texts, (str, NoneType))
        batch_size = optional_whole("batch_size", batch_size)
        answers, read = self._read(texts, policy, batch_size, encoded)
        session = self._session if isinstance(self._session, NativeSession) else None
        return decide(self.model, policy, answers, read, session)

    def encode(self, texts: Sequence[str | None]) -> list[Encoded] | None:
        """Return the ids and the status of each text; None if the engine makes them by itself."""
        if isinstance(self._session, NativeSession):
            return None
        return [self.model.tokenizer.encode_text(text or "") for text in texts]

    def _read(
        self,
        texts: Sequence[Any],
        policy: Policy,
        batch_size: int | None,
        encoded: Sequence[Encoded] | None = None,
    ) -> tuple[bytes, bytes]:
        """Return the probabilities and the statuses of texts, as Decisions has them."""
        if isinstance(self._session, NativeSession):
            answers, read = self._session.classify(texts, policy.unfamiliar)
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
        is_multi_label = self.model.thresholds is not None
        rows[long] = classify_in_windows(whole, classify, is_multi_label=is_multi_label)
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

    def _checked_ids(self, rows: Any) -> list[npt.NDArray[Any]]:
        """Return rows of ids as arrays. Raises TypeError or DataError."""
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise TypeError(f"rows must be a list of lists of ids, not a {type(rows).__name__}")
        length = self.model.tokenizer.length
        num_ids = self.model.tokenizer.num_ids
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
        """Classify checked ids, see :meth:`probabilities_of`."""
        import numpy as np

        step = batch_size or self.batch_size
        length = self.model.tokenizer.length
        answers = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), step):
            chosen = order[start : start + step]
            answers[chosen] = self._run(to_matrix([rows[i] for i in chosen], length))
        return answers

    def predict(
        self,
        texts: Sequence[str],
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
        return self.classify(_check_texts(texts), policy, batch_size=batch_size).predictions

    def _run(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Run the session once. ids: int32 [batch, length]. Returns float32 [batch, labels]."""
        if self._process != os.getpid() and self._settings.threads > 1:
            # A fork copies the memory but none of the threads. A run would wait for them without
            # end, and so would the destructor of the old session: the session is kept.
            self._inherited = self._session
            self._session = _session(self.model, self._settings)
            self._process = os.getpid()
        try:
            with gate.passed():
                answers: npt.NDArray[np.float32] = self._session.run(
                    [OUTPUT_NAME], {INPUT_NAME: ids}, *self._more
                )[0]
        # ONNX Runtime raises its own types, which differ between releases.
        except Exception as error:
            if _is_about_memory(error):
                raise _needs_memory(self.model) from error
            raise ModelFileError(
                f"{self.runtime} cannot run {self.model.path} "
                f"({first_line(error)}); export it again, or try 'edge-lstm doctor'"
            ) from error
        if answers.shape != (len(ids), len(self.labels)) or not are_probabilities(answers):
            raise not_probabilities(self.model)
        return answers


def available_providers() -> list[str]:
    """List the CPU execution providers of the installed ONNX Runtime."""
    import onnxruntime

    return [name for name in CPU_PROVIDERS if name in onnxruntime.get_available_providers()]


def _onnxruntime_name() -> str:
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def _provider(engine: str) -> str:
    """Return the execution provider of an engine of ONNX Runtime."""
    wanted = engine.partition(":")[2] or "CPU"
    names = {name.upper().removesuffix("EXECUTIONPROVIDER"): name for name in available_providers()}
    if wanted not in names:
        raise ProviderError(
            f"execution provider {wanted} is not a CPU provider of the installed "
            f"{_onnxruntime_name()}; available: {', '.join(names)}"
        )
    return names[wanted]


def _check_texts(texts: Iterable[Any], kind: Any = str) -> list[Any]:
    """Return texts as a list. kind: what each must be."""
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
        if not isinstance(text, kind):
            raise TypeError(f"texts[{i}] must be a string, not {type(text).__name__}")
    return texts


def _as_ids(row: Any) -> npt.NDArray[Any] | None:
    """Return a row of whole numbers of any size as an array; None for anything else."""
    import numpy as np

    try:
        ids = np.asarray(row)
    except ValueError:  # lists of several lengths
        return None
    if ids.ndim != 1:
        return None
    if not ids.size:
        return ids.astype(np.int32)
    if ids.dtype.kind in "iu":
        return ids
    # NumPy keeps whole numbers beyond 64 bits as objects.
    is_whole = ids.dtype.kind == "O" and all(type(each) is int for each in ids)
    return ids if is_whole else None


def _reload(data: bytes, path: Path, settings: dict[str, Any]) -> Classifier:
    """Make the copy of a pickled classifier."""
    if settings["engine"] != NATIVE:
        processes = max(settings["processes"], available_cores())
        _arena.bound(processes=processes, is_kept=settings["arena"])
    return Classifier.from_model(parse_model(data, path), **settings)


def _session(model: ModelFile, settings: _Settings) -> onnxruntime.InferenceSession | NativeSession:
    if settings.engine == NATIVE:
        return NativeSession(model.data, model.path)
    import onnxruntime

    threads = settings.threads
    provider = _provider(settings.engine)
    _check_room_for(threads - 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads would spin, which costs the battery of a small device.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    is_bounded = _arena.bound(processes=settings.processes, is_kept=settings.arena)
    options.enable_cpu_mem_arena = settings.arena or is_bounded
    if is_bounded:
        options.add_session_config_entry("session.use_env_allocators", "1")
    # A memory pattern is a plan for one shape of input, and batches differ in length.
    options.enable_mem_pattern = False
    # Errors are raised, so ONNX Runtime's own log stays silent.
    options.log_severity_level = 4
    providers: list[Any] = [provider]
    if provider != DEFAULT_PROVIDER:
        if provider == "XnnpackExecutionProvider":
            providers = [(provider, {"intra_op_num_threads": str(threads)})]
        # For the operators that the provider does not take.
        providers.append(DEFAULT_PROVIDER)
    try:
        with gate.passed():
            return onnxruntime.InferenceSession(model.data, options, providers=providers)
    # ONNX Runtime raises its own types, which differ between releases.
    except Exception as error:
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
    """The memory of all sessions of this process.

    It is bounded when the first session is made. A hostile graph may ask for any amount, in ways
    that its file does not show, and gets an error. Without a bound, the system would end this
    process or another one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_bounded: bool | None = None

    def bound(self, *, processes: int = 1, is_kept: bool = True) -> bool:
        """Bound the memory to half of the machine's, divided by ``processes``.

        processes: number of processes that run models at once.
        is_kept: whether memory is kept for the next run.

        Only the first call counts. Returns whether there is a bound.
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
        # ONNX Runtime's kArenaExtendStrategy: 0 doubles the memory; 1 adds just as much as is asked
        # for, which takes less at once and more in the long run.
        growth = 0 if is_kept else 1
        config = onnxruntime.OrtArenaCfg(limit // 2 // processes, growth, -1, -1)
        onnxruntime.create_and_register_allocator(memory, config)
    # Another part of this program registered one; each session then has its own.
    except Exception:
        return False
    return True


def _run_options(settings: _Settings) -> list[Any]:
    """Make the options of a run: a session without an arena of its own gives memory back."""
    if settings.engine == NATIVE or settings.arena or not _arena.bound():
        return []
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return [options]


def _is_about_memory(error: Exception) -> bool:
    """Tell whether an error of ONNX Runtime's arena, of C++ or of Python is about memory."""
    return isinstance(error, MemoryError) or any(
        part in str(error) for part in ("memory", "bad_alloc")
    )


def _needs_memory(model: ModelFile) -> ModelFileError:
    return ModelFileError(
        f"{model.path} needs more memory than a run may take; "
        "use smaller batches, fewer --workers, or another model"
    )


def _check_room_for(threads: int) -> None:
    """Raise ProviderError if the system refuses that many more threads.

    ONNX Runtime would hang or abort.
    """
    done = Event()
    started = []
    try:
        for _ in range(threads):
            started.append(Thread(target=done.wait))
            started[-1].start()
    except RuntimeError:
        raise ProviderError(
            f"cannot start {threads} more threads; use fewer threads, "
            "or raise its limit (ulimit -u, pids.max)"
        ) from None
    finally:
        done.set()
        running = [thread.native_id for thread in started if thread.ident is not None]
        # join() returns a little before the system counts the thread as gone.
        tasks = [Path(f"/proc/self/task/{n}") for n in running]
        deadline = time.monotonic() + 0.5
        while any(task.exists() for task in tasks) and time.monotonic() < deadline:
            time.sleep(0.0002)
