"""The output of a scoring run and what it is resumed from: whole or not there, and nobody
else's."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import finished
from model_files import EMBEDDED, SMALL
from test_cli import buffered
from test_score import PARQUET, Killed, interrupt, names

from edge_lstm import (
    Classifier,
    DataError,
    OutputError,
    ReadOptions,
    RunOptions,
    ScoreOptions,
    Summary,
    score_files,
)
from edge_lstm.scoring import files
from edge_lstm.scoring.output import FileOutput

ROWS = 400
PARTIAL = "out.csv.partial"
JOURNAL = "out.csv.resume.json"


@pytest.fixture
def run(classifier: Classifier) -> Callable[..., Summary]:
    """Scores in.csv (ten blocks) into a file, noting every block."""
    write_input("in.csv")

    def run(name: str = "out.csv", *, seconds: float | None = 0, **options: Any) -> Summary:
        is_resumed = options.pop("resume", False)
        more = {"chunk_rows": ROWS // 10, **options.pop("run", {})}
        run = RunOptions(workers=1, checkpoint_seconds=seconds, resume=is_resumed, **more)
        return score_files("in.csv", name, **{"model": classifier, **options, "run": run})

    return run


def write_input(name: str) -> None:
    rows = "".join(f"{i:06d},A wonderful film {'!' * 400}\n" for i in range(ROWS))
    Path(name).write_text("id,text\n" + rows)


def contents() -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in names()}


@pytest.mark.parametrize("seconds", [0, 1000])
def test_a_partial_file_that_is_exchanged_never_gets_the_outputs_name(
    run: Callable[..., Summary], seconds: int
) -> None:
    partial = Path("out.csv.partial")

    def exchange(progress: object) -> None:
        partial.unlink()
        partial.write_text("evil")

    with pytest.raises(OutputError, match="was removed or replaced while this run wrote it"):
        run(on_progress=exchange, seconds=seconds)
    assert names() == ["in.csv", "out.csv.partial"]
    assert partial.read_text() == "evil"


def test_a_second_run_that_waits_for_the_lock_never_touches_the_finished_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path("out.csv")
    partial = Path("out.csv.partial")
    partial.write_text("all of the first run")
    real = fcntl.flock

    def flock(handle: int, operation: int) -> None:
        # Between opening and locking, the first run ends.
        if partial.exists() and partial.read_text():
            partial.replace(path)
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with FileOutput(str(path)) as second:
        second.begin(b"second")
        assert path.read_text() == "all of the first run"
        assert partial.read_text() == "second"


@pytest.mark.parametrize("target", ["out.csv", PARQUET])
@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_a_run_that_is_killed_at_its_very_end_is_no_unfinished_run(
    folder: Path,
    run: Callable[..., Summary],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    moment: str,
) -> None:
    run("whole-" + target)
    # What a killed process leaves is what is there at that moment, without any tidying up.
    aside = folder.with_name(folder.name + "-aside")
    aside.mkdir()
    real = Path.replace

    def replace(self: Path, to: Any) -> Path:
        is_last = Path(to).name == target
        replaced = real(self, to) if moment == "after the rename" or not is_last else self
        if is_last:
            for path in folder.iterdir():
                path.rename(aside / path.name)
            raise Killed
        return replaced

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            run(target)
    for path in aside.iterdir():
        path.rename(folder / path.name)
    assert Path(target + ".resume.json").exists()
    if Path(target + ".partial").exists():
        with pytest.raises(DataError, match="continue with --resume"):
            run(target)
        seen: list[object] = []
        run(target, resume=True, on_progress=seen.append)
        assert not seen, "nothing is done twice"
    else:  # the output has its name: another run is a run like any other
        run(target)
    assert names() == ["in.csv", target, "whole-" + target]
    assert Path(target).read_bytes() == Path("whole-" + target).read_bytes()


@pytest.mark.needs("pyarrow")
def test_what_a_power_cut_must_not_lose_is_on_the_disk_before_it_has_its_name(
    run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    real_sync = os.fsync
    real_replace = Path.replace
    renamed = []

    def fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        real_sync(handle)

    def replace(self: Path, target: Any) -> Path:
        renamed.append((Path(target).name, self.stat().st_ino in synced))
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    for name in ("out.csv", "out.parquet"):
        run(name)
    assert {"out.csv", "out.parquet", "out.csv.resume.json"} <= {name for name, _ in renamed}
    assert all(is_synced for _, is_synced in renamed), renamed


@pytest.mark.parametrize("target", ["out.csv", PARQUET])
def test_an_output_that_is_replaced_keeps_its_mode(
    run: Callable[..., Summary], target: str
) -> None:
    path = Path(target)
    path.touch()
    path.chmod(0o600)
    seen = set()

    def look(progress: object) -> None:
        seen.add(stat.S_IMODE(Path(f"{target}.partial").stat().st_mode))

    run(target, on_progress=look)
    assert seen == {stat.S_IMODE(path.stat().st_mode)} == {0o600}


def damage(name: str, change: Callable[[bytes], bytes]) -> Callable[[], None]:
    def apply() -> None:
        Path(name).write_bytes(change(Path(name).read_bytes()))

    return apply


def forge(**changes: Any) -> Callable[[], None]:
    """Another journal whose own checksum is right; numbers are added to those that are there."""

    def apply() -> None:
        content = json.loads(Path(JOURNAL).read_bytes())
        del content["sha256"]
        for name, value in changes.items():
            content[name] = content[name] + value if isinstance(value, int) else value
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        Path(JOURNAL).write_text(json.dumps({**content, "sha256": digest}))

    return apply


def flip(data: bytes, part: float) -> bytes:
    place = int(len(data) * part)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def same_size_and_time() -> None:
    path = Path("in.csv")
    state = path.stat()
    path.write_bytes(path.read_bytes().replace(b"000170,A w", b"000170,A v"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


NO_JOURNAL = "is damaged or of another"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage(PARTIAL, lambda data: flip(data, 0.25)), "does not match its journal"),
        (damage(PARTIAL, lambda data: flip(data, 0)), "does not match its journal"),
        (damage(PARTIAL, lambda data: data[:-50_000]), "is shorter than its journal says"),
        (damage(JOURNAL, lambda data: flip(data, 0.5)), NO_JOURNAL),
        (damage(JOURNAL, lambda data: data.replace(b'"rows": ', b'"rows": 1')), NO_JOURNAL),
        (forge(rows="7"), NO_JOURNAL),
        (forge(more="7"), NO_JOURNAL),
        (forge(rows=1), "input has changed"),
        (forge(rows=10**9), "input has changed"),
        (forge(rows=-1000), "input has changed"),
        (forge(input_checksum="0"), "input has changed"),
        (forge(output_bytes=-100), "does not match"),
        (forge(output_bytes=10**9), "is shorter than"),
        (same_size_and_time, "an input has changed since the run started"),
        (damage("in.csv", lambda _: b"id,text\n1,x\n"), "in.csv was "),
    ],
)
def test_a_run_is_resumed_from_what_it_was_or_not_at_all(
    run: Callable[..., Summary], change: Callable[[], None], message: str
) -> None:
    interrupt(run, after=5)
    change()
    before = contents()
    with pytest.raises(DataError, match=message) as caught:
        run(resume=True)
    assert "\n" not in str(caught.value)
    assert contents() == before, "nothing is destroyed"


def of_another_version(module: str) -> Callable[[pytest.MonkeyPatch], dict[str, Any]]:
    """A program of another version, by the module that has it."""

    def change(patch: pytest.MonkeyPatch) -> dict[str, Any]:
        patch.setattr(f"{module}.__version__", "0.0.1")
        return {}

    return change


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("the model", lambda _: {"model": SMALL}),
        ("edge-lstm", of_another_version("edge_lstm.scoring.files")),
        ("the engine", of_another_version("onnxruntime")),
        ("the chunk", lambda _: {"run": {"chunk_rows": 7}}),
        ("the output format", lambda _: {"format": "jsonl"}),
        ("top", lambda _: {"options": ScoreOptions(top=2)}),
        ("all-probabilities", lambda _: {"options": ScoreOptions(all_probabilities=True)}),
        ("only-columns", lambda _: {"options": ScoreOptions(only_columns=("id",))}),
        ("windows", lambda _: {"options": ScoreOptions(windows=True)}),
        ("threshold", lambda _: {"options": ScoreOptions(abstain=0.02)}),
        ("unfamiliar", lambda _: {"options": ScoreOptions(unfamiliar=0.05)}),
        ("the input's text", lambda _: {"reading": ReadOptions("id")}),
        ("the input .*in.csv", lambda _: os.utime("in.csv", (0, 0))),
    ],
)
def test_another_run_is_not_taken_for_the_one_that_was_interrupted(
    run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch, what: str, change: Any
) -> None:
    interrupt(run, after=2)
    before = {name: Path(name).read_bytes() for name in (PARTIAL, JOURNAL)}
    with monkeypatch.context() as patch, pytest.raises(DataError, match=f"{what} was .* and is "):
        run(resume=True, **(change(patch) or {}))
    assert {name: Path(name).read_bytes() for name in (PARTIAL, JOURNAL)} == before


def test_a_file_of_a_folder_that_was_swapped_is_another_input(classifier: Classifier) -> None:
    Path("in").mkdir()
    for i in range(8):
        Path(f"in/{i}.txt").write_text(f"film {i}")
    scored: dict[str, Any] = {
        "model": classifier,
        "run": RunOptions(workers=1, chunk_rows=2, checkpoint_seconds=0),
    }
    interrupt(score_files, "in", "out.csv", after=2, **scored)
    Path("in/7.txt").write_text("film 8")  # which nobody has read yet
    os.utime("in/7.txt", (0, 0))
    with pytest.raises(DataError, match=r"the input .*in was .* and is "):
        score_files("in", "out.csv", model=classifier, run=RunOptions(resume=True, chunk_rows=2))


def test_the_model_is_read_once_and_must_be_there_to_go_on(run: Callable[..., Summary]) -> None:
    model = Path("m.onnx")
    model.write_bytes(EMBEDDED.read_bytes())
    run("whole.csv", model="m.onnx")

    def remove(progress: object) -> None:
        model.unlink(missing_ok=True)

    run("gone.csv", model="m.onnx", on_progress=remove)
    assert Path("gone.csv").read_bytes() == Path("whole.csv").read_bytes()
    model.write_bytes(EMBEDDED.read_bytes())
    interrupt(run, after=5, model="m.onnx")
    model.unlink()
    before = contents()
    with pytest.raises(DataError, match=r"no model file at m\.onnx"):
        run(resume=True, model="m.onnx")
    assert contents() == before
    Path("moved.onnx").write_bytes(EMBEDDED.read_bytes())  # the same file by another name
    run(resume=True, model="moved.onnx")
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_a_run_that_notes_nothing_can_be_started_again(run: Callable[..., Summary]) -> None:
    interrupt(run, after=5, seconds=None)
    assert names() == ["in.csv"]
    interrupt(run, after=5, seconds=1000)
    assert names() == ["in.csv"], "the first note is later"
    summary = run(seconds=None)
    assert (summary.rows, names()) == (ROWS, ["in.csv", "out.csv"])


def test_an_interruption_costs_five_seconds_of_work_at_most(
    run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    noted = []

    def pass_time(progress: object) -> None:
        nonlocal seconds
        seconds += 2.5
        noted.append(json.loads(Path(JOURNAL).read_text())["rows"] if names()[-1] == JOURNAL else 0)

    monkeypatch.setattr(files, "time", SimpleNamespace(monotonic=lambda: seconds))
    run(seconds=RunOptions().checkpoint_seconds, on_progress=pass_time)
    chunk = ROWS // 10
    assert noted == [0, 0, *[2 * chunk] * 2, *[4 * chunk] * 2, *[6 * chunk] * 2, *[8 * chunk] * 2]


def test_the_summary_of_a_resumed_run_counts_all_of_its_parts(run: Callable[..., Summary]) -> None:
    Path("in.csv").write_text("id,text\n" + "1,good\n2,\n3,awful\n4\n" * (ROWS // 4))
    whole = run("whole.csv")
    interrupt(run, after=5)
    again = run(resume=True)
    assert again.resumed_at == ROWS // 2
    for name in ("rows", "errors", "labels", "statuses", "first_errors", "added_columns"):
        assert getattr(again, name) == getattr(whole, name), name
    assert [problem.row for problem in whole.first_errors] == list(range(4, 84, 4))


def test_the_part_of_a_journal_that_a_killed_run_left_goes(run: Callable[..., Summary]) -> None:
    for name in (f".{JOURNAL}.0a1b2c3d.partial", f".{JOURNAL}.0a1b2c3d.html"):
        Path(name).write_text("{")
    run()
    assert names() == [f".{JOURNAL}.0a1b2c3d.html", "in.csv", "out.csv"]


def test_two_runs_cannot_write_one_output(run: Callable[..., Summary]) -> None:
    run("whole.csv")

    def second(progress: object) -> None:
        for resume in (False, True):
            with pytest.raises(OutputError, match=r"another run is writing out\.csv; wait for it"):
                run(resume=resume)

    run(on_progress=second)
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_the_journal_speaks_of_bytes_that_are_on_the_disk(
    run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut keeps what was synced; a rename of the journal must not come before that."""
    sizes: dict[int, int] = {}
    real = os.fsync
    noted = []

    def fsync(handle: int) -> None:
        real(handle)
        state = os.fstat(handle)
        sizes[state.st_ino] = state.st_size

    real_replace = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if Path(target).name == JOURNAL:
            says = json.loads(self.read_bytes())["output_bytes"]
            noted.append(says <= sizes.get(Path(PARTIAL).stat().st_ino, 0))
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    run()
    assert len(noted) >= 10 and all(noted)


def test_the_names_of_outputs_are_on_the_disk_too(
    run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """A new name is in the folder, which is synced by itself."""
    events: list[str] = []
    real = os.fsync
    real_replace = Path.replace

    def fsync(handle: int) -> None:
        real(handle)
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            events.append("folder")

    def replace(self: Path, target: Any) -> Path:
        events.append(Path(target).name)
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    run()
    last = len(events) - 1 - events[::-1].index("out.csv")
    assert events[last : last + 2] == ["out.csv", "folder"]
    assert events[events.index(JOURNAL) + 1] == "folder"


def test_bytes_behind_what_the_journal_speaks_of_are_forgotten(
    run: Callable[..., Summary],
) -> None:
    run("whole.csv")
    interrupt(run, after=7)
    with Path(PARTIAL).open("ab") as file:
        file.write(b"half a ro")
    run(resume=True)
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_a_damaged_input_leaves_nothing_in_the_way_of_the_whole_one(
    classifier: Classifier,
) -> None:
    source = Path("in.txt.gz")
    whole = gzip.compress(b"".join(b"good %d %s\n" % (i, b"!" * 4000) for i in range(ROWS)))
    source.write_bytes(whole[:-50])
    for workers in (1, 2):
        run = RunOptions(workers=workers, checkpoint_seconds=0)
        with pytest.raises(DataError, match="cut short"):
            score_files(source, "out.csv", model=classifier, run=run)
        assert names() == ["in.txt.gz"]
    source.write_bytes(whole)
    assert score_files(source, "out.csv", model=classifier).rows == ROWS


# --- Streams --------------------------------------------------------------------------------------


def test_a_pipe_that_takes_a_part_at_a_time_gets_every_byte(run: Callable[..., Summary]) -> None:
    run("whole.csv")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with ThreadPoolExecutor(1) as pool, open(reading, "rb") as pipe:  # noqa: PTH123
        got = pool.submit(pipe.read)
        run(f"/dev/fd/{writing}", format="csv", seconds=None, run={"chunk_rows": ROWS})
        os.close(writing)
        assert got.result() == Path("whole.csv").read_bytes()
    assert names() == ["in.csv", "whole.csv"]


@pytest.mark.parametrize("output", ["", ", '-'"])
def test_standard_output_is_written_behind_what_was_printed(output: str) -> None:
    Path("in.txt").write_text("good\n")
    code = "from edge_lstm import score_files; print('first,', end=''); "
    line = [sys.executable, "-c", f"{code}score_files('in.txt'{output})"]
    done = finished(line, env=buffered())
    assert (done.stdout.split("\t")[0], done.stderr) == ("first,pos", "")
    assert names() == ["in.txt"]


def test_the_format_that_is_asked_for_counts_and_not_the_suffix(classifier: Classifier) -> None:
    Path("in.txt").write_text("good\n")
    score_files("in.txt", "out.jsonl", model=classifier, format="csv")
    assert Path("out.jsonl").read_text().startswith("text,label,probability,")
    with pytest.raises(DataError, match="folder is not an output format"):
        score_files("in.txt", "out.csv", model=classifier, format="folder")
    with pytest.raises(OutputError, match="the suffix does not say which format to write"):
        score_files("in.txt", "out", model=classifier)


def test_progress_is_told_after_each_chunk_with_its_part_of_the_input(
    run: Callable[..., Summary],
) -> None:
    seen: list[tuple[int, float | None]] = []
    run(on_progress=lambda progress: seen.append((progress.summary.rows, progress.fraction)))
    assert [rows for rows, _ in seen] == [ROWS // 10 * i for i in range(1, 11)]
    fractions = [fraction or 0 for _, fraction in seen]
    assert fractions == sorted(fractions) and 0 < fractions[0] <= fractions[-1] == 1


def test_a_table_without_rows_has_its_header_in_every_output(classifier: Classifier) -> None:
    Path("in.csv").write_text("id,text\n")
    reading, writing = os.pipe()
    score_files("in.csv", f"/dev/fd/{writing}", model=classifier, format="csv")
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123
        assert pipe.read() == b"id,text,label,probability,status,error\n"
    score_files("in.csv", "out.csv", model=classifier)
    assert Path("out.csv").read_text() == "id,text,label,probability,status,error\n"
