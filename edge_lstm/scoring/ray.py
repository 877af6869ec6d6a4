"""``--engine ray``: folders of files in, folders of files out, on a Ray cluster through Ray Data.

Work is divided by files: each input file becomes one output file of its own name, written by the local
engine inside an actor that has one Classifier loaded. A file gets its name in the output
folder when it is complete, and a note beside it says what it holds. So whatever a lost node had under way
is done again elsewhere under the same names: nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from edge_lstm import __version__, signals
from edge_lstm.atomic import check_distinct, is_leftover
from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError, EdgeLSTMError, OutputError
from edge_lstm.extras import needs
from edge_lstm.modelfile import ModelFile, open_model
from edge_lstm.scoring.answers import MAX_LISTED_ERRORS
from edge_lstm.scoring.columns import DEFAULT_SCORE_OPTIONS, ScoreOptions, check_workers, make_plan
from edge_lstm.scoring.files import Progress, score_files
from edge_lstm.scoring.summary import RowProblem, Summary
from edge_lstm.tables.compression import split_suffix
from edge_lstm.tables.formats import FORMATS, format_of
from edge_lstm.tables.parquet import pyarrow
from edge_lstm.tables.reader import DEFAULT_OPTIONS, open_inputs
from edge_lstm.tables.schema import ReadOptions

NOTES = "_edge_lstm"  # folder of the notes in the output; names with _ are skipped by readers of Parquet
RUN_NOTE = f"{NOTES}/run.json"
MODEL = f"{NOTES}/model.onnx"  # a copy: every actor loads it from here, whatever happens to the original
Kind = Literal["missing", "file", "folder"]
_LOCAL_ADDRESS = "local"
_SECONDS_TO_END = 10.0  # for Ray Data's threads, which end in milliseconds
_TASKS_PER_ACTOR = 8  # so that the last ones to finish do not hold up the rest for long


@dataclass(frozen=True)
class ClusterJob:
    """What every actor is given. input_uri, output_uri: the folders, for the file systems."""

    input_uri: str
    output_uri: str
    options: ScoreOptions
    reading: ReadOptions
    input_format: str | None
    format: str
    provider: str
    batch_size: int | None


def score_on_cluster(
    inputs: str | Path,
    output: str | Path,
    *,
    address: str | None = None,
    model: str | Path | None = None,
    options: ScoreOptions = DEFAULT_SCORE_OPTIONS,
    reading: ReadOptions = DEFAULT_OPTIONS,
    input_format: str | None = None,
    format: str | None = None,  # noqa: A002
    workers: int | None = None,
    resume: bool = False,
    provider: str = "CPUExecutionProvider",
    batch_size: int | None = None,
    also_written: Sequence[str | Path] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Classifies every row of every file of a folder, on a cluster, into a folder of the same files.

    inputs, output: folders, as paths that every node sees or as URIs of a file system that Ray Data
    reads (s3://, gs://, hdfs://, abfs://, file://).
    address: of a running cluster (``auto``, ``ray://host:10001``); None for a local one of its own.
    format: of the output; None for that of the inputs.
    workers: actors; None for as many as the cluster has CPUs.
    resume: keep the files that an interrupted run has finished.
    also_written: files that the caller will write; none may be an input.

    Raises DataError, OutputError, ModelFileError (or a subclass) or MissingPackageError.
    """
    ray = _ray()
    check_workers(workers)
    opened = open_model(model)
    source, target = Folder(str(inputs)), Folder(str(output))
    parts, found = find_parts(source, input_format, format)
    check_distinct(also_written, [opened.path, *(Path(str(inputs), part.source) for part in parts)])
    options = _fixed_prefix(source, parts[0], opened, options, reading, found)
    wanted = format or found
    job = ClusterJob(str(inputs), str(output), options, reading, input_format, wanted, provider, batch_size)
    _begin(target, _identity(job, opened.sha256()), opened.data, resume)
    own_cluster = not ray.is_initialized()
    if own_cluster:
        # What Ray logs of its own working is for its log files.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        # Without an address Ray would join a cluster that happens to run here.
        with signals.kept():
            ray.init(address=address or _LOCAL_ADDRESS, log_to_driver=False, logging_level="error")
    try:
        summary = Summary(str(output), opened.sha256(), workers or int(ray.cluster_resources().get("CPU", 1)))
        started = time.monotonic()
        with closing(_results(ray, parts, job, summary.workers)) as notes:
            for number, note in enumerate(notes, 1):
                _add(summary, note)
                summary.seconds = time.monotonic() - started
                if on_progress:
                    on_progress(Progress(summary, number / len(parts)))
        return summary
    finally:
        if own_cluster:
            ray.shutdown()


class FileScorer:
    """The actor: one Classifier, one file after the other."""

    def __init__(self, job: ClusterJob) -> None:
        self._job = job
        self._folder = tempfile.TemporaryDirectory(prefix="edge-lstm-")
        self._inputs, self._outputs = Folder(job.input_uri), Folder(job.output_uri)
        model = Path(self._folder.name, "model.onnx")
        self._outputs.download(MODEL, model)
        self._classifier = Classifier.load(model, provider=job.provider)
        self._node = _ray().get_runtime_context().get_node_id()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of parts (JSON) → their notes (JSON)."""
        return {"note": [json.dumps(self._score(Part(**json.loads(part)))) for part in batch["part"]]}

    def _score(self, part: Part) -> dict[str, Any]:
        note = self._outputs.read_json(part.note)
        if note and (note["size"], note["modified"]) == (part.size, part.modified):
            return {**note, "resumed": True}
        local = Path(self._folder.name, uuid.uuid4().hex)
        local.mkdir()
        source, target = local / PurePosixPath(part.source).name, local / PurePosixPath(part.target).name
        if target == source:
            target = local / f"out-{target.name}"
        try:
            self._inputs.download(part.source, source)
            summary = score_files(
                source,
                target,
                model=self._classifier,
                options=self._job.options,
                reading=self._job.reading,
                input_format=self._job.input_format,
                format=self._job.format,
                workers=1,
                batch_size=self._job.batch_size,
                checkpoint_seconds=None,
            )
            self._outputs.upload(target, part.target)
        except EdgeLSTMError as error:
            # The run says which file, and not where the copy was.
            return {"failed": str(error).replace(str(source), part.source).replace(str(target), part.target)}
        finally:
            for path in local.iterdir():
                path.unlink()
            local.rmdir()
        problems = [asdict(replace(problem, source=part.source)) for problem in summary.first_errors]
        note = {
            **summary.state(),
            "first_errors": problems,
            "added_columns": list(summary.added_columns),
            "size": part.size,
            "modified": part.modified,
            "node": self._node,
        }
        self._outputs.write_json(part.note, note)
        return note


def _results(ray: Any, parts: Sequence[Part], job: ClusterJob, actors: int) -> Any:
    """Runs the parts through Ray Data and yields their notes as they are done."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # this command has its own progress
    items = [{"part": json.dumps(asdict(part))} for part in parts]
    actors = min(actors, len(parts))
    # Several files in a task where there are many: each task costs the driver time, whatever it does.
    tasks = min(len(parts), actors * _TASKS_PER_ACTOR)
    scored = ray.data.from_items(items, override_num_blocks=tasks).map_batches(
        FileScorer,
        fn_constructor_args=(job,),
        batch_size=None,
        batch_format="numpy",
        num_cpus=1,
        # All at once: a pool that grows with the work reaches the other nodes only after minutes.
        compute=ray.data.ActorPoolStrategy(size=actors),
    )
    others = set(threading.enumerate())
    rows = iter(scored.iter_rows())
    try:
        for row in rows:
            note = json.loads(row["note"])
            if "failed" in note:
                raise DataError(note["failed"])
            yield note
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1][:300]
        raise EdgeLSTMError(f"the cluster gave up: {reason}; go on with --resume") from None
    finally:
        rows.close()
        # Ray ends the whole process where one of its threads asks a cluster that was left meanwhile. One
        # never ends where an iteration is left, and asks for nothing any more.
        last = time.monotonic() + _SECONDS_TO_END
        for thread in set(threading.enumerate()) - others:
            if thread.name != "Prefetcher":
                thread.join(max(0.0, last - time.monotonic()))


def _add(summary: Summary, note: dict[str, Any]) -> None:
    summary.rows += note["rows"]
    summary.written += note["written"]
    summary.errors += note["errors"]
    summary.below_threshold += note["below_threshold"]
    summary.labels.update(Counter(note["labels"]))
    summary.statuses.update(Counter(note["statuses"]))
    summary.added_columns = tuple(note["added_columns"])
    if note.get("resumed"):
        summary.resumed_at += note["rows"]
    room = MAX_LISTED_ERRORS - len(summary.first_errors)
    summary.first_errors += [RowProblem(**problem) for problem in note["first_errors"][:room]]


def _fixed_prefix(
    inputs: Folder,
    first: Part,
    model: ModelFile,
    options: ScoreOptions,
    reading: ReadOptions,
    kind: str,
) -> ScoreOptions:
    """The options, settled, with the prefix that the first file asks for: all files get the same columns."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, PurePosixPath(first.source).name)
        inputs.download(first.source, local)
        schema = open_inputs([local], format=kind, options=reading).schema
    plan = make_plan(schema, model, options, kind, first.source)
    return replace(plan.options, prefix=plan.added[0].removesuffix("label"))


def _identity(job: ClusterJob, model_sha256: str) -> dict[str, Any]:
    return {
        "inputs": job.input_uri,
        "model": model_sha256,
        "options": asdict(job.options),
        "reading": asdict(job.reading),
        "format": job.format,
        "version": __version__,
    }


def _begin(output: Folder, identity: dict[str, Any], model: bytes, resume: bool) -> None:
    """Makes the output folder. OutputError where it holds something that is not this run's."""
    where, kind = output.where, output.kind()
    identity = json.loads(json.dumps(identity))
    if kind == "file":
        raise OutputError(f"{where} is a file; --engine ray writes a folder")
    before = output.read_json(RUN_NOTE)
    if before is not None and resume:
        for key, value in identity.items():
            if before.get(key) != value:
                raise DataError(
                    f"cannot resume: the {key} of the run in {where} was another; choose another output"
                )
        return
    if kind == "folder" and not output.is_empty():
        hint = "go on with --resume or choose another output" if before else "choose another output"
        raise OutputError(f"the folder {where} is not empty; {hint}")
    try:
        output.write_bytes(MODEL, model)
        output.write_json(RUN_NOTE, identity)
    except OSError as error:
        raise OutputError(f"cannot write to {where}: {error}; check the folder and its permissions") from None


def _ray() -> Any:
    with needs("ray", "--engine ray"):
        import ray
        import ray.data
    return ray


@dataclass(frozen=True)
class Part:
    """One input file: where it is, where its output goes, and what it was when the run began."""

    source: str
    target: str
    note: str
    size: int
    modified: str


def find_parts(inputs: Folder, input_format: str | None, wanted: str | None) -> tuple[list[Part], str]:
    """The input files of a folder in order, all of one format, with the format.

    Raises DataError where there are none, or of several formats.
    """
    where, kind = inputs.where, inputs.kind()
    if kind == "missing":
        raise DataError(f"no such folder: {where}; check the path")
    if kind == "file":
        raise DataError(
            f"{where} is a file; --engine ray reads folders of files, one engine for one file is local"
        )
    found: dict[str, list[Stored]] = {}
    for stored in inputs.files():
        hidden = any(step.startswith(("_", ".")) for step in PurePosixPath(stored.name).parts)
        told = input_format or format_of(stored.name)
        if not (hidden or told is None or is_leftover(stored.name)):
            found.setdefault(told, []).append(stored)
    if not found:
        raise DataError(f"{where} holds no text, CSV, TSV, JSONL or Parquet files; check the path")
    if len(found) > 1:
        raise DataError(
            f"{where} holds files of different formats ({', '.join(found)}); name one: --input-format"
        )
    [(common, files)] = found.items()
    parts = [_part(stored, _target_name(stored.name, common, wanted or common)) for stored in files]
    if len({part.target for part in parts}) < len(parts):
        raise DataError(f"{where} holds files that differ in their suffix alone; rename one")
    return parts, common


def _part(stored: Stored, target: str) -> Part:
    return Part(stored.name, target, f"{NOTES}/{target}.json", stored.size, stored.modified)


def _target_name(name: str, source: str, target: str) -> str:
    """An input's name, with the suffix of another format where the output has another."""
    if source == target:
        return name
    stem = PurePosixPath(name)
    if split_suffix(name)[1]:
        stem = stem.with_suffix("")
    if format_of(name) is not None:
        stem = stem.with_suffix("")
    return f"{stem}{FORMATS[target].suffixes[0]}"


@dataclass(frozen=True)
class Stored:
    """One file of a folder: its name in it, bytes, and when it was last changed (nanoseconds, as text)."""

    name: str
    size: int
    modified: str


class Folder:
    """where: a path, or the URI of a file system that pyarrow reads (s3://, gs://, hdfs://, abfs://,
    file://). Names are relative to it, with slashes. DataError where the address cannot be opened.
    """

    def __init__(self, where: str) -> None:
        arrow = _arrow()
        self.where = where
        try:
            if "://" in where:
                fs, top = arrow.fs.FileSystem.from_uri(where)
            else:
                fs, top = arrow.fs.LocalFileSystem(), str(Path(where).absolute())
        except (arrow.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(f"cannot open {where}: {reason}; check the address") from None
        self._fs, self._top = fs, top.rstrip("/")

    def kind(self) -> Kind:
        """What there is under the folder's own name."""
        types = _arrow().fs.FileType
        found = self._fs.get_file_info(self._top).type
        return "missing" if found == types.NotFound else "file" if found == types.File else "folder"

    def is_empty(self) -> bool:
        """Whether a folder that is there holds nothing."""
        return not self._fs.get_file_info(_arrow().fs.FileSelector(self._top, recursive=False))

    def files(self) -> list[Stored]:
        """All files, those of folders in it too, by name."""
        arrow = _arrow()
        found = [
            Stored(entry.path.removeprefix(self._top).lstrip("/"), entry.size, str(entry.mtime_ns))
            for entry in self._fs.get_file_info(arrow.fs.FileSelector(self._top, recursive=True))
            if entry.type == arrow.fs.FileType.File
        ]
        return sorted(found, key=lambda stored: stored.name)

    def download(self, name: str, local: Path) -> None:
        """Copies a file to this machine; of a file that is here already, a link does."""
        if self._fs.type_name == "local":
            local.symlink_to(self._path(name))
            return
        with (
            self._fs.open_input_stream(self._path(name), compression=None) as source,
            local.open("wb") as target,
        ):
            while chunk := source.read(2**20):
                target.write(chunk)

    def upload(self, local: Path, name: str) -> None:
        """Copies a complete file to its name, which it has only when it is there as a whole."""
        path = self._path(name)
        parent = str(PurePosixPath(path).parent)
        self._fs.create_dir(parent, recursive=True)
        # Two nodes may do the same file, when one was thought lost: each has a name of its own until the end.
        passing = f"{parent}/.{PurePosixPath(path).name}.{uuid.uuid4().hex}"
        with local.open("rb") as source, self._fs.open_output_stream(passing, compression=None) as target:
            while chunk := source.read(2**20):
                target.write(chunk)
        self._fs.move(passing, path)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A file's JSON object; None where it is not there or is none."""
        if self._fs.get_file_info(self._path(name)).type != _arrow().fs.FileType.File:
            return None
        with self._fs.open_input_stream(self._path(name), compression=None) as file:
            try:
                return dict(json.loads(file.read()))
            except ValueError:
                return None

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Writes a file of JSON, as a whole."""
        self.write_bytes(name, json.dumps(value).encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes a file, as a whole."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.upload(Path(file.name), name)

    def _path(self, name: str) -> str:
        return f"{self._top}/{name}"


def _arrow() -> Any:
    arrow = pyarrow()
    import_module("pyarrow.fs")  # an attribute of the package from here on
    return arrow
