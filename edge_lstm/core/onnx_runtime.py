"""The engine ONNX Runtime: it runs the graph of a model file."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from edge_lstm.checked import Range, check_fields
from edge_lstm.core.modelfile import INPUT_NAME, OUTPUT_NAME, ModelFile
from edge_lstm.errors import ModelFileError, ProviderError, first_line
from edge_lstm.system.ending import gate
from edge_lstm.system.machine import memory_to_use

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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
class OnnxRuntime:
    """ONNX Runtime as the engine of a :class:`Classifier`.

    provider: a CPU execution provider of the installed ONNX Runtime, such as ``XNNPACK``.
    threads: threads inside one run, 1 to 1024. A second one rarely helps, because the network is
        small.
    processes: number of processes that run models at once and share the memory. The first
        Classifier of a process sets it. A pickled copy assumes one process for each core.

    A run may take half of the memory of the machine or its control group, divided by
    ``processes``; a run that needs more raises ModelFileError. Windows has no such limit.

    Raises DataError for a value out of range, and TypeError for one of the wrong type.
    """

    package: ClassVar[str] = "onnxruntime"

    provider: str = "CPU"
    # With many more, ONNX Runtime hangs instead of raising an error.
    threads: Annotated[int, Range(1, 1024)] = 1
    processes: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "provider", _short(self.provider))

    @property
    def name(self) -> str:
        """The name in ``--engine``."""
        return "onnxruntime" if self.provider == "CPU" else f"onnxruntime:{self.provider}"

    def with_threads(self, threads: int) -> OnnxRuntime:
        """Return the same with another number of threads."""
        return replace(self, threads=threads)

    def open(self, model: ModelFile) -> OnnxSession:
        """Open a model file.

        Raises ProviderError if the provider is not installed or cannot run the file, ModelFileError
        if ONNX Runtime refuses it.
        """
        return OnnxSession(model, self)


def _short(provider: str) -> str:
    return provider.upper().removesuffix("EXECUTIONPROVIDER")


def available_providers() -> dict[str, str]:
    """Return the CPU execution providers of the installed ONNX Runtime: short name → full name."""
    import onnxruntime

    installed = onnxruntime.get_available_providers()
    return {_short(name): name for name in CPU_PROVIDERS if name in installed}


class OnnxSession:
    """A model file that is open in ONNX Runtime.

    Threads may share it, and a forked process may go on with it.
    """

    def __init__(self, model: ModelFile, engine: OnnxRuntime) -> None:
        import onnxruntime

        self._model = model
        self._engine = engine
        self._name = f"ONNX Runtime {onnxruntime.__version__}"
        self._open()

    def __str__(self) -> str:
        return self._name

    def run(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Run the model. ids: int32 [batch, length]. Returns float32 [batch, labels]."""
        if self._process != os.getpid() and self._engine.threads > 1:
            # A fork copies the memory but none of the threads. A run would wait for them without
            # end, and so would the destructor of the old session: the session is kept.
            self._inherited = self._session
            self._open()
        try:
            with gate.passed():
                answers: list[npt.NDArray[np.float32]] = self._session.run(
                    [OUTPUT_NAME], {INPUT_NAME: ids}
                )
        # ONNX Runtime raises its own types, which differ between releases.
        except Exception as error:
            raise self._needs_memory(error) or ModelFileError(
                f"{self} cannot run {self._model.path} "
                f"({first_line(error)}); export it again, or try 'edge-lstm doctor'"
            ) from error
        return answers[0]

    def _open(self) -> None:
        import onnxruntime

        self._process = os.getpid()
        threads = self._engine.threads
        provider = self._provider()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads would spin, which costs the battery of a small device.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if _arena.bound(self._engine):
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
        path = self._model.path
        try:
            with gate.passed():
                self._session = onnxruntime.InferenceSession(
                    self._model.data, options, providers=providers
                )
        # ONNX Runtime raises its own types, which differ between releases.
        except Exception as error:
            reason = first_line(error)
            failure: Exception = ModelFileError(
                f"{self} cannot load {path}: {reason}; upgrade onnxruntime"
            )
            if provider != DEFAULT_PROVIDER:
                failure = ProviderError(f"{provider} cannot load {path}: {reason}; leave it out")
            raise self._needs_memory(error) or failure from error

    def _provider(self) -> str:
        """Return the full name of the execution provider."""
        names = available_providers()
        wanted = self._engine.provider
        if wanted not in names:
            raise ProviderError(
                f"execution provider {wanted} is not a CPU provider of the installed {self}; "
                f"available: {', '.join(names)}"
            )
        return names[wanted]

    def _needs_memory(self, error: Exception) -> ModelFileError | None:
        """Return what to raise for an error of the arena, of C++ or of Python about memory."""
        is_memory = isinstance(error, MemoryError)
        if not (is_memory or "memory" in str(error) or "bad_alloc" in str(error)):
            return None
        return ModelFileError(
            f"{self._model.path} needs more memory than a run may take; "
            "use smaller batches, fewer --workers, or another model"
        )


class _Arena:
    """The memory of all sessions of this process.

    It is bounded when the first session is made. A hostile graph may ask for any amount, in ways
    that its file does not show, and gets an error. Without a bound, the system would end this
    process or another one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_bounded: bool | None = None

    def bound(self, engine: OnnxRuntime) -> bool:
        """Bound the memory as an engine says. Only the first call counts.

        Returns whether there is a bound.
        """
        with self._lock:
            if self._is_bounded is None:
                self._is_bounded = _register_arena(engine)
            return self._is_bounded


_arena = _Arena()


def _register_arena(engine: OnnxRuntime) -> bool:
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
        # -1: ONNX Runtime's own choice.
        config = onnxruntime.OrtArenaCfg(limit // 2 // engine.processes, -1, -1, -1)
        onnxruntime.create_and_register_allocator(memory, config)
    # Another part of this program registered one; each session then has its own.
    except Exception:
        return False
    return True
