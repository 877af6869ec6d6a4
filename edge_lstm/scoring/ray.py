"""``--engine ray``: a folder of files in, a folder of files out, on a Ray cluster.

Ray Data maps the names of the files over actors with one Classifier each. If a node is lost, it
gives its files to others. The local engine writes each file. A note about each file is kept in the
output folder, so that a resumed run knows it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.engine import chosen_engine
from edge_lstm.core.modelfile import open_model
from edge_lstm.errors import DataError, EdgeLSTMError, OutputError
from edge_lstm.extras import check_installed
from edge_lstm.scoring.columns import (
    DEFAULT_SCORE_OPTIONS,
    ScoreOptions,
    check_default_model,
    plan_output,
)
from edge_lstm.scoring.files import DEFAULT_RUN_OPTIONS, Progress, RunOptions, score_files
from edge_lstm.scoring.summary import Summary
from edge_lstm.system import signals
from edge_lstm.system.atomic import check_distinct, is_leftover, write_atomically
from edge_lstm.tables.compression import without_suffix
from edge_lstm.tables.reader import DEFAULT_OPTIONS, FORMATS, format_of, open_inputs
from edge_lstm.tables.schema import ReadOptions, with_fields


def score_on_cluster(
    inputs: str | Path,
    output: str | Path,
    *,
    model: str | Path | None = None,
    options: ScoreOptions = DEFAULT_SCORE_OPTIONS,
    reading: ReadOptions = DEFAULT_OPTIONS,
    run: RunOptions = DEFAULT_RUN_OPTIONS,
    format: str | None = None,  # noqa: A002
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Classify every row of every file of a folder, on a cluster, into a folder of the same files.

    inputs: a folder, as a path that every node sees.
    output: another one.
    model: a model file; None for the embedded model, as in score_files.
    options: the columns that are added.
    reading: the format of the inputs and the column of the texts.
    run: its workers are actors (None: one for each CPU of the cluster). Without its address, a
        local cluster is started. With its resume, files that a run of the same model and options
        has done are kept.
    format: of the output; None for the format of the inputs.
    on_progress: is called after each file.

    Raises DataError, OutputError, ModelFileError (or a subclass) or MissingPackageError.
    """
    check_installed("ray", "--engine ray")
    run.check()
    source = Path(inputs).absolute()
    target = Path(output).absolute()
    names = _input_names(source, reading.format)
    opened = open_model(model)
    check_distinct([target], [opened.path, *(source / name for name in names)])
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not run.resume):
        raise OutputError(
            f"{target} is not an empty folder; continue with --resume or choose another output"
        )
    reading = with_fields(reading, [opened.fields])
    first = open_inputs([source / names[0]], options=reading)
    resolved, columns = plan_output(
        first.schema, {"": opened}, options, format or first.format.name
    )
    options = resolved[""]
    if model is None and (chunk := next(first.chunks(run.limits), None)) is not None:
        check_default_model(chunk, first, opened)
    arguments = {
        "model": Classifier(opened, chosen_engine(run.engine)),
        "options": options,
        "reading": reading,
        "run": RunOptions(workers=1, checkpoint_seconds=None),
        "format": format,
    }
    identity = json.loads(json.dumps([opened.sha256(), asdict(options), asdict(reading)]))
    with _cluster(run.address) as ray:
        actors = min(len(names), run.workers or int(ray.cluster_resources().get("CPU", 1)))
        started = time.monotonic()
        summary = Summary(str(output), opened.sha256(), actors, model=opened.name)
        summary.added_columns = tuple(columns.added)
        scored = ray.data.from_items(
            [{"name": name} for name in names], override_num_blocks=len(names)
        ).map(
            FileScorer,
            fn_constructor_args=(source, target, arguments, identity),
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=actors),
        )
        for number, row in enumerate(scored.iter_rows(), 1):
            note = json.loads(row["note"])
            if "failed" in note:
                raise DataError(note["failed"])
            summary.add(Summary.from_dict(note))
            summary.seconds = time.monotonic() - started
            if on_progress:
                on_progress(Progress(summary, number / len(names)))
    return summary


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Yield the package ``ray``, connected to a cluster.

    address: None for a local cluster of its own.

    An error of Ray becomes an EdgeLSTMError.
    """
    import ray
    import ray.data

    is_own = not ray.is_initialized()
    if is_own:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        # Without an address, Ray would join a cluster that happens to run here.
        with signals.kept():
            ray.init(address=address or "local", log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    # The command shows its own progress.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1][:300]
        raise EdgeLSTMError(f"the cluster failed: {reason}; continue with --resume") from None
    finally:
        if is_own:
            ray.shutdown()


@dataclass(frozen=True)
class FileScorer:
    """An actor that scores one file after the other.

    source: the folder of the inputs.
    target: the folder of the outputs.
    arguments: of score_files.
    identity: everything but the file that decides the bytes of its output, as JSON has it.
    """

    source: Path
    target: Path
    arguments: dict[str, Any]
    identity: list[Any]

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score the file ``name`` and return its note, as JSON under ``note``."""
        name = row["name"]
        target_format = self.arguments["format"]
        source = self.source / name
        target = self.target / name
        if target_format is not None and format_of(name) != target_format:
            target = Path(without_suffix(str(target))).with_suffix(
                FORMATS[target_format].suffixes[0]
            )
        # Readers of Parquet skip names that begin with _.
        path = self.target / "_edge_lstm" / f"{name}.json"
        identity = [*self.identity, source.stat().st_size, source.stat().st_mtime_ns]
        note = json.loads(path.read_text()) if path.exists() and target.exists() else {}
        if note.get("identity") == identity:
            return {"note": json.dumps({**note, "resumed_at": note["rows"]})}
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            summary = score_files(source, target, **self.arguments)
        except EdgeLSTMError as error:
            return {"note": json.dumps({"failed": str(error)})}
        note = {**summary.to_dict(), "identity": identity}
        write_atomically(json.dumps(note), path, parents=True)
        return {"note": json.dumps(note)}


def _input_names(folder: Path, format: str | None) -> list[str]:  # noqa: A002
    """Return the names of a folder's input files, in order.

    Raises DataError unless they are of one format.
    """
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}; --engine ray reads a folder of files")
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if not (is_leftover(path) or path.startswith((".", "_")))]
    formats = {path: told for path in paths if (told := format or format_of(path))}
    if len(set(formats.values())) != 1:
        what = (
            "files of different formats" if formats else "no text, CSV, TSV, JSONL or Parquet files"
        )
        raise DataError(
            f"{folder} holds {what}; check the path, or name the format with --input-format"
        )
    return list(formats)
