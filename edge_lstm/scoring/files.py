"""Files in → one file out: :func:`score_files`, what ``edge-lstm score`` calls."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lstm import atomic
from edge_lstm.errors import DataError, OutputError
from edge_lstm.modelfile import open_model
from edge_lstm.scoring import resume as journals
from edge_lstm.scoring.columns import DEFAULT_SCORE_OPTIONS, Plan, ScoreOptions, check_workers, make_plan
from edge_lstm.scoring.output import FileOutput, StreamOutput, names_of
from edge_lstm.scoring.pool import Pool
from edge_lstm.scoring.resume import Entry, Journal
from edge_lstm.scoring.summary import Summary
from edge_lstm.scoring.worker import Job, Scored
from edge_lstm.tables.blocks import BLOCK_BYTES, BLOCK_ROWS, Block, Position
from edge_lstm.tables.compression import Compression, compress, split_suffix, zstandard
from edge_lstm.tables.format import Format
from edge_lstm.tables.formats import FORMATS, format_of, named
from edge_lstm.tables.reader import DEFAULT_OPTIONS, Inputs, open_inputs
from edge_lstm.tables.schema import STDIN, ReadOptions

if TYPE_CHECKING:
    from hashlib import _Hash

    from edge_lstm.classifier import Classifier

LOW_MEMORY_ROWS = 512
LOW_MEMORY_BYTES = 2**18
CHECKPOINT_SECONDS = 5.0


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
    input_format: str | None = None,
    format: str | None = None,  # noqa: A002 - the name of the option
    workers: int | None = None,
    low_memory: bool = False,
    resume: bool = False,
    provider: str = "CPUExecutionProvider",
    batch_size: int | None = None,
    checkpoint_seconds: float | None = CHECKPOINT_SECONDS,
    also_written: Sequence[str | Path] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Classifies every row of the inputs into one output, one row out for each row in, in order.

    inputs: files, globs, folders of ``.txt``, or ``-`` (standard input).
    output: a file, its format and compression by its suffix; None or ``-`` for standard output.
    model: a model file, or a loaded Classifier, which one worker uses as it is; None for the embedded one.
    workers: at most so many processes; None for as many as the cores this process may use. No more are
        started than the work can use, and none where this process alone is as soon done.
    low_memory: one worker, a small window, and no arena (see Classifier.load), for devices.
    resume: go on where an interrupted run stopped; the final file is that of an uninterrupted one.
    checkpoint_seconds: how much work an interruption may cost; None: all, and nothing is left of it.
    also_written: files that the caller will write; none may be an input or an output of the run.

    Raises DataError (inputs, options), OutputError, ModelFileError, ProviderError, MissingPackageError.
    """
    paths = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    target = None if output is None or str(output) == STDIN else str(output)
    check_workers(workers)
    if low_memory and (workers or 1) > 1:
        raise DataError("low memory means one worker; leave --workers out, or --low-memory")
    opened = open_inputs(paths, format=input_format, options=reading)
    loaded = None if model is None or isinstance(model, (str, Path)) else model
    opened_model = loaded.model if loaded else open_model(model)  # type: ignore[arg-type]
    writing = _output_format(target, format, opened)
    plan = make_plan(opened.schema, opened_model, options, writing.name, opened.sources[0].name)
    compression = None if target is None or writing.is_assembled else split_suffix(target)[1]
    writing.check()
    if compression == "zstd":
        zstandard()
    run = _Run(
        opened=opened,
        plan=plan,
        compression=compression,
        rows=LOW_MEMORY_ROWS if low_memory else BLOCK_ROWS,
        size=LOW_MEMORY_BYTES if low_memory else BLOCK_BYTES,
        summary=Summary(target, opened_model.sha256(), 1, added_columns=plan.added),
        on_progress=on_progress,
    )
    job = Job(
        model=opened_model.data,
        path=opened_model.path,
        provider=provider,
        batch_size=batch_size,
        plan=plan,
        compression=compression,
        arena=not low_memory,
    )
    with Pool(job, 1 if low_memory else workers, lambda: loaded or job.load(opened_model)) as pool:
        if target is None or atomic.is_stream(target):
            if resume:
                raise DataError("--resume needs an output file; standard output and pipes cannot be resumed")
            if writing.is_assembled:
                raise DataError("Parquet cannot be written to standard output or a pipe; give a file with -o")
            _check_names([], also_written, opened, opened_model.path)
            with StreamOutput(target) as stream:
                run.into_stream(pool, stream)
        else:
            if resume and opened.once:
                raise DataError("an input from a pipe cannot be resumed; write it to a file first")
            _check_names(names_of(target), also_written, opened, opened_model.path)
            run.into_file(pool, target, resume, checkpoint_seconds)
    run.summary.seconds = time.monotonic() - run.started
    return run.summary


def _check_names(
    outputs: Sequence[str], also_written: Sequence[str | Path], opened: Inputs, model: Path
) -> None:
    """DataError where a file that is written is one that is read, or written twice."""
    read: list[str | Path] = [model]
    for source in opened.sources:
        if source.path != STDIN:
            read += [Path(source.path, name) for name in source.files] or [source.path]
    atomic.check_distinct([*outputs, *also_written], read)


class _RefusedRowError(DataError):
    """A row without usable text, where such rows end the run."""


@dataclass(kw_only=True)
class _Run:
    """A run under way.

    rows, size: of a block; digest: of the input up to the last block that was written.
    """

    opened: Inputs
    plan: Plan
    compression: Compression | None
    rows: int
    size: int
    summary: Summary
    on_progress: Callable[[Progress], None] | None
    started: float = field(default_factory=time.monotonic)
    digest: _Hash = field(default_factory=hashlib.sha256)

    def into_stream(self, pool: Pool, stream: StreamOutput) -> None:
        """All rows into a pipe or the like."""
        head = self._head()
        for block, scored in pool.run(self._blocks()):
            stream.write(head + scored.data)
            head = b""
            self._count(pool, block, scored)
        stream.write(head)

    def into_file(self, pool: Pool, path: str, resume: bool, checkpoint_seconds: float | None) -> None:
        """All rows, from where an unfinished run stopped, into a file that is complete then."""
        # A run over a pipe cannot be resumed: it leaves no journal, and no half of a file.
        journal = None
        if not self.opened.once and (resume or checkpoint_seconds is not None):
            journal = Journal(path, self._identity())
        seconds = float("inf") if checkpoint_seconds is None else checkpoint_seconds
        with FileOutput(path) as file:
            entry = _unfinished(file, journal, resume)
            if entry and entry.whole:
                self.summary.restore(entry.counts)
            else:
                try:
                    self._write(pool, file, journal, entry, seconds)
                except _RefusedRowError:
                    # Whoever corrects the row has another input, and nothing to go on from.
                    file.is_kept = False
                    if journal:
                        journal.remove()
                    raise
            if journal:
                journal.remove()

    def _write(
        self, pool: Pool, file: FileOutput, journal: Journal | None, entry: Entry | None, seconds: float
    ) -> None:
        blocks = self._blocks()
        position = Position()
        if entry:
            self._pass(blocks, entry, file.journal)
            file.go_on(entry.output_bytes, entry.output_sha256)
            self.summary.restore(entry.counts)
            position = entry.position
        begun, before = entry is not None, file.size
        next_checkpoint = time.monotonic() + seconds
        first = True
        for block, scored in pool.run(blocks):
            if not begun:
                # Only now: a model that cannot be loaded leaves what is there as it is.
                begun = self._begin(file)
                before = file.size
            file.write(scored.data)
            self._count(pool, block, scored)
            if first:
                self._check_space(file, block, file.size - before)
                first = False
            position = block.end
            if self.opened.format.keeps_bytes:
                journals.update(self.digest, block)
            if journal and time.monotonic() >= next_checkpoint:
                self._checkpoint(file, journal, position)
                next_checkpoint = time.monotonic() + seconds
        if not begun:
            self._begin(file)
        file.sync()
        whole = file.partial
        if self._writing.is_assembled:
            whole = file.assembled
            whole.unlink(missing_ok=True)  # of a run that was killed here; a link is not followed
            self._writing.assemble(str(file.partial), str(whole))
            file.sync(whole)
        if journal and file.is_kept:
            # Should the run be killed between the next two steps, this says that it is done.
            self._checkpoint(file, journal, position, whole)
        file.complete(whole)

    def _begin(self, file: FileOutput) -> bool:
        file.begin()
        file.write(self._head())
        return True

    def _head(self) -> bytes:
        return compress(self._writing.writer(self.plan.output).header, self.compression)

    @property
    def _writing(self) -> Format:
        return FORMATS[self.plan.format]

    def _blocks(self) -> Iterator[Block]:
        return self.opened.blocks(Position(), rows=self.rows, size=self.size)

    def _pass(self, blocks: Iterator[Block], entry: Entry, journal: Path) -> None:
        """Reads what an unfinished run has read, which must be the same. DataError where it is not."""
        is_there = entry.position == Position()
        while not is_there and (block := next(blocks, None)):
            is_there = block.end == entry.position
            if self.opened.format.keeps_bytes:
                journals.update(self.digest, block)
        if not is_there or self.digest.hexdigest() != entry.input_sha256:
            raise DataError(
                "cannot resume: an input was changed since the run was started; "
                f"delete {journal} and start again"
            )

    def _count(self, pool: Pool, block: Block, scored: Scored) -> None:
        """Counts a block that was written, and shows how far the run is."""
        source = self.opened.sources[block.start.source].name
        if self.plan.options.on_error == "fail" and scored.counts.errors:
            index, reason = scored.counts.errors[0]
            raise _RefusedRowError(
                f"{source} row {block.start.row + index + 1}: {reason}; "
                "correct the row, or keep such rows with --on-error keep"
            )
        self.summary.workers = pool.used
        self.summary.add(block, source, scored.counts)
        self.summary.seconds = time.monotonic() - self.started
        if self.on_progress:
            self.on_progress(Progress(self.summary, self.opened.progress(block.end)))

    def _identity(self) -> dict[str, object]:
        settings = journals.compression_settings(self.compression, self.rows, self.size)
        return journals.identity(self.opened.sources, self.summary.model_sha256, self.plan, settings)

    def _checkpoint(
        self, file: FileOutput, journal: Journal, position: Position, whole: Path | None = None
    ) -> None:
        file.sync()
        entry = Entry(
            position=position,
            output_bytes=file.size,
            output_sha256=file.digest,
            input_sha256=self.digest.hexdigest(),
            counts=self.summary.state(),
            whole=None if whole is None else journals.file_identity(whole),
        )
        journal.write(entry)
        file.is_kept = True

    def _check_space(self, file: FileOutput, block: Block, written: int) -> None:
        """OutputError where the first block says that the disk cannot hold the output."""
        done = self.opened.progress(block.end)
        if not done:
            return
        # A Parquet file is put together from a partial file that stays until it is complete.
        needed = written / done * (1.5 if self._writing.is_assembled else 1.0) - written
        free = file.free()
        if needed > free:
            raise OutputError(
                f"the output needs about {needed / 1e6:,.0f} MB more and its disk has {free / 1e6:,.0f} MB "
                "free; free some and go on with --resume, or choose another output"
            )


def _unfinished(file: FileOutput, journal: Journal | None, resume: bool) -> Entry | None:
    """Where an unfinished run of the same output stopped; None where there is none to go on from.

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
    """The output's format: the one asked for, else by its suffix, else that of the input."""
    if wanted is not None and not named(wanted).is_writable:
        raise DataError(f"{wanted} is no format of a file; choose another --format")
    found = wanted or (format_of(target) if target is not None else None)
    if found is None and target is not None and not atomic.is_stream(target):
        raise OutputError(
            f"{target}: the suffix does not say which format to write; "
            "use .csv, .tsv, .jsonl, .parquet or .txt, or give --format"
        )
    return FORMATS[found or opened.format.default_output or opened.format.name]
