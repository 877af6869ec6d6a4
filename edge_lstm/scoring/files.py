"""Files in → one file out: :func:`score_files`, which ``edge-lstm score`` calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from edge_lstm._version import __version__
from edge_lstm.checked import check_fields, instance, path
from edge_lstm.core.engine import Engine, chosen_engine
from edge_lstm.core.modelfile import ModelFile, open_model
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.errors import DataError, OutputError
from edge_lstm.scoring.answers import Predictor
from edge_lstm.scoring.columns import (
    DEFAULT_SCORE_OPTIONS,
    ScoreOptions,
    check_default_model,
    plan_output,
)
from edge_lstm.scoring.journal import Entry, fingerprint
from edge_lstm.scoring.output import FileOutput, names_of, stream_output
from edge_lstm.scoring.pool import WorkerPool, most_processes
from edge_lstm.scoring.summary import Summary
from edge_lstm.scoring.worker import Worker
from edge_lstm.system import atomic, signals
from edge_lstm.tables import reader as tables
from edge_lstm.tables.compression import compressed, compression_of
from edge_lstm.tables.format import Format, OutputColumns
from edge_lstm.tables.schema import STDIN, Checksum, ReadOptions, with_fields

if TYPE_CHECKING:
    from edge_lstm.core.classifier import Classifier

# A model as score_files takes it.
_Model: TypeAlias = "str | Path | Classifier | None"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options that change no label and no probability.

    workers: the largest number of processes; None for one per core that this process may use. No
        more are started than the work can use.
    chunk_rows: the largest number of rows that a worker takes at a time; None for the usual number.
    engine: its name, see Classifier.load.
    resume: continue an interrupted run; the final file equals an uninterrupted run's.
    checkpoint_seconds: seconds of work that an interruption may cost; None: it costs all work, and
        the run leaves no files.
    address: address of a running Ray cluster (``auto``, ``ray://host:10001``), only for
        ``score_on_cluster``.
    """

    workers: int | None = None
    chunk_rows: int | None = None
    engine: str | None = None
    resume: bool = False
    checkpoint_seconds: float | None = 5.0
    address: str | None = None

    def check(self) -> None:
        """Check that each option is in its range, and that no two exclude each other.

        Raises TypeError if one is of the wrong type.
        Raises DataError if not.
        """
        check_fields(self)
        seconds = self.checkpoint_seconds
        if seconds is not None and not seconds >= 0:
            raise DataError(f"checkpoint_seconds must be 0 or more, not {seconds}")

    @property
    def limits(self) -> tuple[int, int]:
        """The most rows and bytes of a chunk."""
        rows, size = tables.LIMITS
        return rows if self.chunk_rows is None else int(self.chunk_rows), size


DEFAULT_RUN_OPTIONS = RunOptions()


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    summary: of the rows that are done.
    fraction: of the input, 0 to 1; None if its end is not known.
    """

    summary: Summary
    fraction: float | None


def score_files(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    model: _Model | Mapping[str, _Model] = None,
    options: ScoreOptions = DEFAULT_SCORE_OPTIONS,
    reading: ReadOptions = tables.DEFAULT_OPTIONS,
    run: RunOptions = DEFAULT_RUN_OPTIONS,
    format: str | None = None,  # noqa: A002 - the name of the option
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Classify every row of the inputs into one output, one row out for each row in, in order.

    inputs: files, globs, folders of ``.txt``, or ``-`` (standard input).
    output: a file, whose suffix says its format and compression; None or ``-`` for standard output.
    model: a model file, or a loaded Classifier, whose settings stay. None for the embedded
        model; this raises DataError if the inputs have a column of other labels. "sentiment" for
        the embedded model in any case. For several questions, a mapping from their names to models:
        every question has its own columns (``team``, ``team_probability``, ``team_status``).
    options: the columns that are added.
    reading: the format of the inputs and the column of the texts.
    run: processes, memory and resuming.
    format: format of the output; needed if its suffix does not say it.
    on_progress: called after each chunk.

    Raises DataError (inputs, options), OutputError, ModelFileError, ProviderError,
    MissingPackageError, and TypeError for a value of the wrong type.
    """
    if isinstance(inputs, (str, bytes)) or not isinstance(inputs, Iterable):
        inputs = [inputs]
    paths = [path("inputs", each) for each in inputs]
    target = None if output is None else path("output", output)
    if target == STDIN:
        target = None
    instance("run", run, RunOptions)
    run.check()
    engine = chosen_engine(run.engine)
    if format is not None:
        instance("format", format, str, "a string")
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be a function, not a {type(on_progress).__name__}")
    given: Mapping[str, _Model] = model if isinstance(model, Mapping) else {"": model}
    models = {name: _open(each) for name, each in given.items()}
    files = {name: opened_model for name, (_, opened_model) in models.items()}
    opened = tables.open_inputs(
        paths, options=with_fields(reading, [each.fields for each in files.values()])
    )
    writing = _output_format(target, format, opened)
    summary = Summary(
        target,
        _joined(files, lambda each: each.sha256()),
        model=_joined(files, lambda each: each.name),
    )
    resolved, columns = plan_output(opened.schema, files, options, writing.name)
    unchosen = files[""] if model is None else None
    work = _Run(opened, resolved, columns, target, run, engine, summary, on_progress, unchosen)
    # No file that is written may be one that is read.
    input_files = [
        Path(source.path, name) for source in opened.sources for name in source.files or [""]
    ]
    outputs = [] if work.is_stream else names_of(str(target))
    atomic.check_distinct(outputs, [*(each.path for each in files.values()), *input_files])
    with signals.held():
        from edge_lstm.core.classifier import Classifier
    if isinstance(engine, OnnxRuntime):
        engine = replace(engine, processes=most_processes(run.workers))
    classifiers = {
        name: loaded or Classifier(opened_model, engine)
        for name, (loaded, opened_model) in models.items()
    }
    worker = Worker(Predictor(classifiers, resolved), columns, work.compression)
    with WorkerPool(worker, run.workers) as pool:
        if work.is_stream:
            work.into_stream(pool)
        else:
            work.into_file(pool, str(target))
    summary.seconds = time.monotonic() - work.started
    return summary


def _joined(files: Mapping[str, ModelFile], fact: Callable[[ModelFile], str]) -> str:
    """Return a fact of the model file, or of each by the name of its question."""
    return ", ".join(f"{name}={fact(each)}" if name else fact(each) for name, each in files.items())


def _open(model: _Model) -> tuple[Classifier | None, ModelFile]:
    """Return a loaded Classifier and its model file, or None and the model file.

    Raises the errors of open_model.
    """
    opened = getattr(model, "model", None)
    if isinstance(opened, ModelFile):
        return cast("Classifier", model), opened
    return None, open_model(None if model is None else path("model", model))


@dataclass
class _Run:
    """A run under way.

    options: name of the question → its resolved options.
    target: the output's path; None for standard output.
    unchosen: the model if nobody named one, so that it may not be for these texts; else None.
    started: time.monotonic() at the start of the run.
    checksum: of the input up to the last chunk written.
    is_stream: the output cannot be renamed or resumed.
    head: the first bytes of the output.

    Raises DataError if its options exclude each other or do not fit its inputs.
    """

    opened: tables.Inputs
    options: Mapping[str, ScoreOptions]
    columns: OutputColumns
    target: str | None
    run: RunOptions
    engine: Engine
    summary: Summary
    on_progress: Callable[[Progress], None] | None
    unchosen: ModelFile | None
    started: float = field(default_factory=time.monotonic)
    checksum: str = str(Checksum())

    def __post_init__(self) -> None:
        self.format = tables.FORMATS[self.columns.format]
        self.is_stream = self.target is None or atomic.is_stream(self.target)
        self.compression = "" if self.format.is_assembled else compression_of(self.target or "")
        self.head = compressed(self.format.header(self.columns), self.compression)
        self.summary.added_columns = tuple(self.columns.added)
        if self.is_stream and self.run.resume:
            raise DataError(
                "--resume needs an output file; standard output and pipes cannot be resumed"
            )
        if self.is_stream and self.format.is_assembled:
            raise DataError(
                "Parquet cannot be written to standard output or a pipe; give a file with -o"
            )
        if self.run.resume and self.opened.once:
            raise DataError("an input from a pipe cannot be resumed; write it to a file first")

    def into_stream(self, pool: WorkerPool) -> None:
        """Write all rows to standard output, a pipe or a device."""
        with stream_output(self.target) as write:
            head = self.head
            for data in self._scored(pool, self._chunks()):
                write(head + data)
                head = b""
            write(head)

    def into_file(self, pool: WorkerPool, path: str) -> None:
        """Write the rows that no earlier run has written, and give the file its name."""
        # A run over a pipe cannot be resumed. It leaves no journal, and no half of a file.
        seconds = self.run.checkpoint_seconds
        has_journal = not self.opened.once and (self.run.resume or seconds is not None)
        with FileOutput(path, self._identity() if has_journal else None) as file:
            chunks = self._chunks()
            if entry := file.unfinished(resume=self.run.resume):
                self.summary.add(Summary.from_dict({**entry.counts, "resumed_at": entry.rows}))
                self._pass(chunks, entry, file.journal)
                file.go_on(entry)
            else:
                file.begin(self.head)
            pool.private_files.append(file.descriptor)
            begun = time.monotonic()
            try:
                for data in self._scored(pool, chunks):
                    file.write(data)
                    if seconds is not None and time.monotonic() >= begun + seconds:
                        file.checkpoint(self.checksum, self.summary.to_dict())
                        begun = time.monotonic()
            except DataError:
                # Once the input is corrected, it is another one.
                file.forget()
                raise
            if file.is_kept:
                file.checkpoint(self.checksum, self.summary.to_dict())
            file.complete(self.format.assemble if self.format.is_assembled else None)

    def _chunks(self) -> Iterator[tables.Chunk]:
        """Yield the chunks. Raises DataError if the default model is for other texts."""
        is_first = True
        for chunk in self.opened.chunks(self.run.limits):
            if is_first and chunk.block.count and self.unchosen is not None:
                check_default_model(chunk, self.opened, self.unchosen)
            is_first = is_first and not chunk.block.count
            yield chunk

    def _pass(self, chunks: Iterator[tables.Chunk], entry: Entry, journal: Path) -> None:
        """Read what an unfinished run has read. Raises DataError if it has changed."""
        rows = 0
        while rows < entry.rows and (chunk := next(chunks, None)):
            rows += chunk.block.count
            self.checksum = chunk.checksum
        if rows != entry.rows or self.checksum != entry.input_checksum:
            raise DataError(
                "cannot resume: an input has changed since the run started; "
                f"delete {journal} and start again"
            )

    def _scored(self, pool: WorkerPool, chunks: Iterator[tables.Chunk]) -> Iterator[bytes]:
        """Yield the bytes of each chunk, count its rows and report the progress."""
        for chunk, (data, part) in pool.run(chunks):
            self.checksum = chunk.checksum
            self.summary.add(part)
            self.summary.workers = pool.used
            self.summary.seconds = time.monotonic() - self.started
            if self.on_progress:
                self.on_progress(Progress(self.summary, chunk.fraction))
            yield data

    def _identity(self) -> dict[str, Any]:
        """Return everything that decides the bytes of the output, as JSON has it."""
        schema = asdict(self.opened.schema)
        options = {
            f"{question} {name}".strip().replace("_", "-"): value
            for question, each in self.options.items()
            for name, value in asdict(each).items()
        }
        version = import_module(self.engine.package).__version__
        identity = {
            "the list of inputs": [source.path for source in self.opened.sources],
            **{f"the input {source.path}": fingerprint(source) for source in self.opened.sources},
            "the model": self.summary.model_sha256,
            **options,
            **{f"the input's {name}": value for name, value in schema.items()},
            "the input's types": schema["types"] and schema["types"].hex(),
            "the output format": self.columns.format,
            "the chunk": self.run.limits,
            "edge-lstm": __version__,
            "the engine": f"{self.engine.name} {version}",
        }
        return dict(json.loads(json.dumps(identity)))


def _output_format(target: str | None, format_name: str | None, opened: tables.Inputs) -> Format:
    """Return the format asked for, else the one of the output's suffix, else the input's."""
    if format_name is not None and not tables.named(format_name).suffixes:
        raise DataError(f"{format_name} is not an output format; choose another --output-format")
    name = format_name or (tables.format_of(target) if target is not None else None)
    if name is None and target is not None and not atomic.is_stream(target):
        raise OutputError(
            f"{target}: the suffix does not say which format to write; "
            "use .csv, .tsv, .jsonl, .parquet or .txt, or give --output-format"
        )
    return tables.FORMATS[name or (opened.format.name if opened.format.is_stream else "jsonl")]
