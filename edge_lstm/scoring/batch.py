"""Files in → one file out: :func:`score_files`, what ``edge-lstm score`` calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lstm.errors import DataError, OutputError
from edge_lstm.modelfile import open_model
from edge_lstm.scoring.encoders import header
from edge_lstm.scoring.job import Job, Scored
from edge_lstm.scoring.journal import Entry, Journal, compression_settings, identity
from edge_lstm.scoring.output import FileOutput, Output, StreamOutput, check_not_an_input, is_stream
from edge_lstm.scoring.plan import DEFAULT_CHOICES, Choices, Plan, make_plan
from edge_lstm.scoring.runner import Runner, available_workers
from edge_lstm.scoring.summary import Summary
from edge_lstm.scoring.table_encoder import assemble, no_rows
from edge_lstm.tables.blocks import BLOCK_BYTES, BLOCK_ROWS, Block, Position
from edge_lstm.tables.compression import compress, split_suffix, zstandard
from edge_lstm.tables.parquet import pyarrow
from edge_lstm.tables.reader import DEFAULT_OPTIONS, Inputs, open_inputs
from edge_lstm.tables.schema import ReadOptions
from edge_lstm.tables.sources import Format, output_format

if TYPE_CHECKING:
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
    choices: Choices = DEFAULT_CHOICES,
    reading: ReadOptions = DEFAULT_OPTIONS,
    input_format: Format | None = None,
    format: Format | None = None,  # noqa: A002 - the name of the option
    workers: int | None = None,
    low_memory: bool = False,
    resume: bool = False,
    provider: str = "CPUExecutionProvider",
    batch_size: int | None = None,
    checkpoint_seconds: float | None = CHECKPOINT_SECONDS,
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Classifies every row of the inputs into one output, a row for a row, in order.

    inputs: files, globs, folders of ``.txt``, or ``-`` (standard input).
    output: a file, its format and compression by its suffix; None or ``-`` for standard output.
    model: a model file, or a loaded Classifier, which one worker uses as it is; None for the embedded one.
    workers: processes; None for all cores this process may use.
    low_memory: one worker, a small window, and no arena (see Classifier.load), for devices.
    resume: go on where an interrupted run stopped; the final file is that of an uninterrupted one.
    checkpoint_seconds: how much work an interruption may cost; None: all, and nothing is left of it.

    Raises DataError (inputs, choices), OutputError, ModelFileError, ProviderError, MissingPackageError.
    """
    paths = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    target = None if output is None else str(output)
    opened = open_inputs(paths, format=input_format, options=reading)
    loaded = None if model is None or isinstance(model, (str, Path)) else model
    opened_model = loaded.model if loaded else open_model(model)  # type: ignore[arg-type]
    wanted = format or _default_format(target, opened)
    plan = make_plan(opened.schema, opened_model.labels, choices, wanted, opened.sources[0].name)
    compression = None if target is None or wanted == "parquet" else split_suffix(target)[1]
    if wanted == "parquet":
        pyarrow()
    if compression == "zstd":
        zstandard()
    count = 1 if low_memory else workers or available_workers()
    rows, size = (LOW_MEMORY_ROWS, LOW_MEMORY_BYTES) if low_memory else (BLOCK_ROWS, BLOCK_BYTES)
    job = Job(
        opened_model.data, opened_model.path, provider, batch_size, plan, compression, arena=not low_memory
    )
    summary = Summary(target, opened_model.sha256(), count, added_columns=plan.added)
    started = time.monotonic()

    def blocks(start: Position) -> Iterator[Block]:
        return opened.blocks(start, rows=rows, size=size)

    def report(done: Iterator[tuple[Block, Scored]], sink: Output) -> Iterator[Block]:
        """Writes what is done, counts it, and says which block it was."""
        for block, scored in done:
            _fail_at_first_error(plan, opened, block, scored)
            sink.write(scored.data)
            if block.pause or opened.live:
                sink.flush()
            summary.add(block, opened.sources[block.start.source].name, scored.counts)
            summary.seconds = time.monotonic() - started
            if on_progress:
                on_progress(Progress(summary, opened.progress(block.end)))
            yield block

    if is_stream(target):
        if resume:
            raise DataError("--resume needs an output file; standard output and pipes cannot be resumed")
        if wanted == "parquet":
            raise DataError("Parquet cannot be written to standard output or a pipe; give a file with -o")
        sink = StreamOutput(target)
        with closing(sink), closing(Runner(job, count, loaded)) as runner:
            sink.write(compress(header(plan), compression))
            for _ in report(runner.run(blocks(Position())), sink):
                pass
            sink.finish()
        summary.seconds = time.monotonic() - started
        return summary

    assert target is not None
    check_not_an_input(target, opened.sources)
    if resume and opened.once:
        raise DataError("an input from a pipe cannot be resumed; write it to a file first")
    file = FileOutput(target, resume=resume)
    with closing(file), closing(Runner(job, count, loaded)) as runner:
        # A run over a pipe cannot be resumed: it leaves no journal, and no half of a file.
        journal = None
        if not opened.once and checkpoint_seconds is not None:
            settings = compression_settings(compression, rows, size)
            run_identity = identity(opened.sources, summary.model_sha256, plan, settings)
            journal = Journal(file.journal, run_identity)
        try:
            position = _begin(file, journal, summary, compress(header(plan), compression))
            begun = file.size
            next_checkpoint = time.monotonic() + (checkpoint_seconds or 0)
            for number, block in enumerate(report(runner.run(blocks(position)), file)):
                if number == 0:
                    _check_space(file, opened, block, file.size - begun, wanted)
                if journal and time.monotonic() >= next_checkpoint:
                    _checkpoint(file, journal, block.end, summary)
                    next_checkpoint = time.monotonic() + (checkpoint_seconds or 0)
                position = block.end
            if wanted == "parquet":
                if not file.size:
                    file.write(no_rows(plan, opened.sources[0]))
                if journal:
                    _checkpoint(file, journal, position, summary)
                _finish_parquet(file)
            else:
                file.finish()
        except BaseException:
            if journal is None:
                file.discard()
            raise
        if journal:
            journal.remove()
    summary.seconds = time.monotonic() - started
    return summary


def _default_format(target: str | None, opened: Inputs) -> Format:
    """The output's format where none is asked for: by its suffix, else that of the input."""
    found = output_format(target) if target is not None else None
    if found is None:
        if target is not None and target != "-" and not is_stream(target):
            raise OutputError(
                f"{target}: the suffix does not say which format to write; "
                "use .csv, .tsv, .jsonl, .parquet or .txt, or give --format"
            )
        return {"folder": "jsonl", "parquet": "jsonl"}.get(opened.schema.format, opened.schema.format)  # type: ignore[return-value]
    return found


def _fail_at_first_error(plan: Plan, opened: Inputs, block: Block, scored: Scored) -> None:
    if plan.choices.on_error == "fail" and scored.counts.errors:
        index, reason = scored.counts.errors[0]
        name = opened.sources[block.start.source].name
        raise DataError(
            f"{name} row {block.start.row + index + 1}: {reason}; "
            "correct the row, or keep such rows with --on-error keep"
        )


def _begin(file: FileOutput, journal: Journal | None, summary: Summary, head: bytes) -> Position:
    """Where to start reading: after what an interrupted run has written, if it is resumed."""
    if journal and file.resumes:
        entry = journal.read()
        file.start_at(entry.output_bytes)
        summary.restore(entry.counts)
        return entry.position
    file.write(head)
    if journal:
        _checkpoint(file, journal, Position(), summary)
    return Position()


def _checkpoint(file: FileOutput, journal: Journal, position: Position, summary: Summary) -> None:
    file.sync()
    journal.write(Entry(position, file.size, summary.state()))


def _check_space(file: FileOutput, opened: Inputs, block: Block, written: int, wanted: Format) -> None:
    """OutputError where the first block says that the disk cannot hold the output."""
    done = opened.progress(block.end)
    if not done:
        return
    # A Parquet file is put together from a partial file that stays until it is complete.
    needed = written / done * (1.5 if wanted == "parquet" else 1.0) - written
    free = file.free()
    if needed > free:
        raise OutputError(
            f"the output needs about {needed / 1e6:,.0f} MB more and its disk has {free / 1e6:,.0f} MB free; "
            "free some and go on with --resume, or choose another output"
        )


def _finish_parquet(file: FileOutput) -> None:
    whole = file.partial.with_name(file.partial.name + ".parquet")
    assemble(str(file.partial), str(whole))
    file.rename(whole)
    file.discard()
