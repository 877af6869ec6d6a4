"""The output of a scoring run and what it is resumed from: whole or not there, and nobody
else's."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_score import PARQUET, Killed, interrupt, names

from edge_lstm import Classifier, DataError, OutputError, RunOptions, Summary, score_files
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
        run = RunOptions(
            workers=1, chunk_rows=ROWS // 10, checkpoint_seconds=seconds, resume=is_resumed
        )
        return score_files("in.csv", name, model=classifier, run=run, **options)

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
    with pytest.raises(DataError, match="cut short"):
        score_files(source, "out.csv", model=classifier, run=RunOptions(checkpoint_seconds=0))
    assert names() == ["in.txt.gz"]
    source.write_bytes(whole)
    assert score_files(source, "out.csv", model=classifier).rows == ROWS
