"""Files in → one file out: :func:`score_files`, what ``edge-lstm score`` calls."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lstm import atomic, signals
from edge_lstm.errors import DataError, OutputError
from edge_lstm.modelfile import open_model
from edge_lstm.scoring import resume as journals
from edge_lstm.scoring.columns import DEFAULT_SCORE_OPTIONS, Plan, ScoreOptions, make_plan
from edge_lstm.scoring.output import FileOutput, StreamOutput, names_of
from edge_lstm.scoring.pool import Pool
from edge_lstm.scoring.resume import Entry, Journal
from edge_lstm.scoring.summary import Summary
from edge_lstm.scoring.worker import Scored, Worker
from edge_lstm.tables.compression import Compression, compress, split_suffix
from edge_lstm.tables.format import Format
from edge_lstm.tables.formats import FORMATS, format_of, named
from edge_lstm.tables.reader import DEFAULT_OPTIONS, LIMITS, Chunk, Inputs, open_inputs
from edge_lstm.tables.schema import STDIN, ReadOptions

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier

LOW_MEMORY_LIMITS = (256, 2**16)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is made; none of it changes a label or a probability.

    workers: at most so many processes; None for as many as the cores this process may use. No more are
        started than the work can use, and none where this process alone is as soon done.
    low_memory: one worker, small chunks, and no arena (see Classifier.load), for devices.
    chunk_rows: rows that a worker takes at a time, at most; None: as is usual.
    batch_size: texts in one run of the model; None: what is fastest.
    provider: the execution provider of ONNX Runtime, or native, the engine.
    resume: go on where an interrupted run stopped; the final file is that of an uninterrupted one.
    checkpoint_seconds: how much work an interruption may cost; None: all, and nothing is left of it.
    also_written: files that the caller will write; none may be an input or an output of the run.
    """

    workers: int | None = None
    low_memory: bool = False
    chunk_rows: int | None = None
    batch_size: int | None = None
    provider: str = "CPUExecutionProvider"
    resume: bool = False
    checkpoint_seconds: float | None = 5.0
    also_written: Sequence[str | Path] = ()

    def check(self) -> None:
        """Raise DataError where there would be nobody to do the work."""
        if self.workers is not None and self.workers < 1:
            raise DataError(
                f"at least 1 worker is needed, not {self.workers}; leave workers out for one per core"
            )
        if self.low_memory and (self.workers or 1) > 1:
            raise DataError("--low-memory is one worker; leave it out, or --workers")

    @property
    def limits(self) -> tuple[int, int]:
        """Rows and characters of a chunk."""
        rows, size = LOW_MEMORY_LIMITS if self.low_memory else LIMITS
        return self.chunk_rows or rows, size


DEFAULT_RUN_OPTIONS = RunOptions()


@dataclass(frozen=True)
class Progress:
    """How far a run is. fraction: of the input, None where its end is not known."""

    summary: Summary
    fraction: float | None


def score_files(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    model: str | Path | Classifier | None = None,
    options: ScoreOptions = DEFAULT_SCORE_OPTIONS,
    reading: ReadOptions = DEFAULT_OPTIONS,
    run: RunOptions = DEFAULT_RUN_OPTIONS,
    format: str | None = None,  # noqa: A002 - the name of the option
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Classify every row of the inputs into one output, one row out for each row in, in order.

    inputs: files, globs, folders of ``.txt``, or ``-`` (standard input).
    output: a file, its format and compression by its suffix; None or ``-`` for standard output.
    model: a model file, or a loaded Classifier, used as it is; None for the embedded model.
    options: what is written; reading: how inputs are read; run: how the work is done.
    format: of the output, where its suffix does not say it.

    Raises DataError (inputs, options), OutputError, ModelFileError, ProviderError, MissingPackageError.
    """
    paths = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    target = None if output is None or str(output) == STDIN else str(output)
    run.check()
    opened = open_inputs(paths, options=reading)
    loaded = None if model is None or isinstance(model, (str, Path)) else model
    opened_model = loaded.model if loaded else open_model(model)  # type: ignore[arg-type]
    writing = _output_format(target, format, opened)
    plan = make_plan(opened.schema, opened_model, options, writing.name, opened.sources[0].name)
    compression = None if target is None or writing.is_assembled else split_suffix(target)[1]
    head = compress(writing.writer(plan.output).header, compression)
    is_stream = target is None or atomic.is_stream(target)
    if is_stream and run.resume:
        raise DataError("--resume needs an output file; standard output and pipes cannot be resumed")
    if is_stream and writing.is_assembled:
        raise DataError("Parquet cannot be written to standard output or a pipe; give a file with -o")
    if run.resume and opened.once:
        raise DataError("an input from a pipe cannot be resumed; write it to a file first")
    # No file that is written may be one that is read, or written twice.
    read = [Path(source.path, name) for source in opened.sources for name in source.files or [""]]
    outputs = [] if is_stream else names_of(str(target))
    atomic.check_distinct([*outputs, *run.also_written], [opened_model.path, *read])
    with signals.held():
        from edge_lstm.classifier import Classifier
    classifier = loaded or Classifier.from_model(
        opened_model, provider=run.provider, arena=not run.low_memory
    )
    summary = Summary(target, opened_model.sha256(), 1, added_columns=plan.output.added)
    work = _Run(opened, plan, compression, head, run, summary, on_progress)
    worker = Worker(classifier, plan, compression, run.batch_size)
    with Pool(worker, 1 if run.low_memory else run.workers) as pool:
        if is_stream:
            with StreamOutput(target) as stream:
                work.into_stream(pool, stream)
        else:
            work.into_file(pool, str(target))
    summary.seconds = time.monotonic() - work.started
    return summary


@dataclass
class _Run:
    """A run under way. head: what begins the output. digest: of the input up to the last chunk written."""

    opened: Inputs
    plan: Plan
    compression: Compression | None
    head: bytes
    run: RunOptions
    summary: Summary
    on_progress: Callable[[Progress], None] | None
    started: float = field(default_factory=time.monotonic)
    digest: str = field(default_factory=lambda: hashlib.sha256().hexdigest())

    def into_stream(self, pool: Pool, stream: StreamOutput) -> None:
        """Write all rows into a pipe or the like."""
        head = self.head
        for chunk, scored in pool.run(self.opened.chunks(self.run.limits)):
            stream.write(head + scored.data)
            head = b""
            self._count(pool, chunk, scored)
        stream.write(head)

    def into_file(self, pool: Pool, path: str) -> None:
        """Write all rows, from where an unfinished run stopped, into a file that is complete then."""
        # A run over a pipe cannot be resumed: it leaves no journal, and no half of a file.
        journal = None
        if not self.opened.once and (self.run.resume or self.run.checkpoint_seconds is not None):
            journal = Journal(path, self._identity())
        with FileOutput(path) as file:
            entry = _unfinished(file, journal, self.run.resume)
            if entry:
                self.summary.restore(entry.counts)
            if entry is None or not entry.whole:
                self._write(pool, file, journal, entry)
            if journal:
                journal.remove()

    def _write(self, pool: Pool, file: FileOutput, journal: Journal | None, entry: Entry | None) -> None:
        chunks = self.opened.chunks(self.run.limits)
        if entry:
            self._pass(chunks, entry, file.journal)
            file.go_on(entry.output_bytes, entry.output_sha256)
        else:
            file.begin()
            file.write(self.head)
        pool.private_files.append(file.descriptor)
        seconds = self.run.checkpoint_seconds
        next_checkpoint = float("inf") if seconds is None else time.monotonic() + seconds
        try:
            for chunk, scored in pool.run(chunks):
                file.write(scored.data)
                self._count(pool, chunk, scored)
                self.digest = chunk.digest
                if journal and seconds is not None and time.monotonic() >= next_checkpoint:
                    self._checkpoint(file, journal)
                    next_checkpoint = time.monotonic() + seconds
        except DataError:
            # Whoever corrects the input has another one, and nothing to go on from.
            file.is_kept = False
            if journal:
                journal.remove()
            raise
        file.sync()
        whole, writing = file.partial, FORMATS[self.plan.format]
        if writing.is_assembled:
            whole = file.assembled
            whole.unlink(missing_ok=True)  # of a run that was killed here; a link is not followed
            writing.assemble(str(file.partial), str(whole))
            file.sync(whole)
        if journal and file.is_kept:
            # Should the run be killed between the next two steps, this says that it is done.
            self._checkpoint(file, journal, whole)
        file.complete(whole)

    def _pass(self, chunks: Iterator[Chunk], entry: Entry, journal: Path) -> None:
        """Read what an unfinished run has read, which must be the same. Raises DataError where it is not."""
        rows = 0
        while rows < entry.rows and (chunk := next(chunks, None)):
            rows, self.digest = rows + chunk.count, chunk.digest
        if rows != entry.rows or self.digest != entry.input_sha256:
            raise DataError(
                "cannot resume: an input was changed since the run was started; "
                f"delete {journal} and start again"
            )

    def _count(self, pool: Pool, chunk: Chunk, scored: Scored) -> None:
        """Count a chunk that was written, and show how far the run is."""
        source = self.opened.sources[chunk.source].name
        if self.plan.options.on_error == "fail" and scored.counts.errors:
            index, reason = scored.counts.errors[0]
            raise DataError(
                f"{source} row {chunk.first + index + 1}: {reason}; "
                "correct the row, or keep such rows with --on-error keep"
            )
        self.summary.workers = pool.used
        self.summary.add(chunk, source, scored.counts)
        self.summary.seconds = time.monotonic() - self.started
        if self.on_progress:
            self.on_progress(Progress(self.summary, chunk.fraction))

    def _identity(self) -> dict[str, Any]:
        schema = self.opened.schema
        return {
            "inputs": [journals.fingerprint(source) for source in self.opened.sources],
            "model": self.summary.model_sha256,
            "options": asdict(self.plan.options),
            "reading": {**asdict(schema), "types": schema.types and schema.types.hex()},
            "output format": self.plan.format,
            "settings": {
                "compression": self.compression,
                "chunk": self.run.limits,
                "provider": self.run.provider,
            },
        }

    def _checkpoint(self, file: FileOutput, journal: Journal, whole: Path | None = None) -> None:
        file.sync()
        entry = Entry(
            rows=self.summary.rows,
            output_bytes=file.size,
            output_sha256=file.digest,
            input_sha256=self.digest,
            counts=self.summary.to_dict(),
            whole=None if whole is None else journals.file_identity(whole),
        )
        journal.write(entry)
        file.is_kept = True


def _unfinished(file: FileOutput, journal: Journal | None, resume: bool) -> Entry | None:
    """Return where an unfinished run of the same output stopped; None where there is none to go on from.

    Raises DataError where there is one that this run would destroy, or is not.
    """
    if not os.path.lexists(file.journal):
        return None
    is_finished = journals.is_finished(file.journal, file.path)
    if not is_finished and not file.is_new:
        if not resume or journal is None:
            raise DataError(
                f"{file.path} has an unfinished run; "
                f"go on with --resume, or delete {file.journal} to start again"
            )
        return replace(journal.read(), whole=None)
    # What is left is the journal alone, of a run that was killed when its output had its name.
    _, run = journals.read(file.journal)
    file.is_kept = False
    if is_finished and resume and journal and journal.is_of(run):
        return journal.read()
    file.journal.unlink()
    return None


def _output_format(target: str | None, wanted: str | None, opened: Inputs) -> Format:
    """Return the output's format: the one asked for, else by its suffix, else that of the input."""
    if wanted is not None and not named(wanted).is_writable:
        raise DataError(f"{wanted} is no format of a file; choose another --output-format")
    name = wanted or (format_of(target) if target is not None else None)
    if name is None and target is not None and not atomic.is_stream(target):
        raise OutputError(
            f"{target}: the suffix does not say which format to write; "
            "use .csv, .tsv, .jsonl, .parquet or .txt, or give --output-format"
        )
    return FORMATS[name or opened.format.default_output or opened.format.name]
