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
from test_score import Killed, interrupt, names

from edge_lstm import Classifier, DataError, OutputError, RunOptions, Summary, score_files
from edge_lstm.scoring.output import FileOutput

ROWS = 400


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


@pytest.fixture
def run(tmp_path: Path, classifier: Classifier) -> Callable[..., Summary]:
    """Scores in.csv (ten blocks) into a file, noting every block."""
    write_input(tmp_path / "in.csv")

    def run(name: str = "out.csv", **options: Any) -> Summary:
        chosen = {
            key: options.pop(key) for key in ("checkpoint_seconds", "resume") if key in options
        }
        run = RunOptions(
            **{"workers": 1, "chunk_rows": ROWS // 10, "checkpoint_seconds": 0, **chosen}
        )
        return score_files(
            tmp_path / "in.csv", tmp_path / name, model=classifier, run=run, **options
        )

    return run


def write_input(path: Path, word: str = "wonderful") -> None:
    rows = "".join(f"{i:06d},A {word} film {'!' * 400}\n" for i in range(ROWS))
    path.write_text("id,text\n" + rows)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_no_link_is_followed_where_a_file_is_made(
    tmp_path: Path, run: Callable[..., Summary]
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "out.csv.resume.json").symlink_to(precious)
    with pytest.raises(DataError, match=r"of another version; move it away"):
        run("out.csv")
    assert precious.read_text() == "precious"


def test_a_partial_file_that_is_exchanged_never_gets_the_outputs_name(
    tmp_path: Path, run: Callable[..., Summary]
) -> None:
    def exchange(progress: object) -> None:
        (tmp_path / "out.csv.partial").unlink()
        (tmp_path / "out.csv.partial").write_text("evil")

    for seconds in (0, 1000):
        with pytest.raises(OutputError, match="was removed or replaced while this run wrote it"):
            run(on_progress=exchange, checkpoint_seconds=seconds)
        assert names(tmp_path) == ["in.csv", "out.csv.partial"]
        assert (tmp_path / "out.csv.partial").read_text() == "evil"


def test_a_second_run_that_waits_for_the_lock_never_touches_the_finished_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.csv"
    partial = tmp_path / "out.csv.partial"
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


@pytest.mark.parametrize("target", ["out.csv", "out.csv.gz", "out.parquet"])
@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_a_run_that_is_killed_at_its_very_end_is_no_unfinished_run(
    tmp_path: Path,
    run: Callable[..., Summary],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    moment: str,
) -> None:
    if target.endswith("parquet"):
        pytest.importorskip("pyarrow")
    run("whole-" + target)
    # What a killed process leaves is what is there at that moment, without any tidying up.

    def leave(*_: object) -> None:
        for path in tmp_path.iterdir():
            path.rename(aside / path.name)
        raise Killed

    aside = tmp_path.with_name(tmp_path.name + "-aside")
    aside.mkdir()
    real = Path.replace

    def replace(self: Path, to: Any) -> Path:
        if Path(to).name == target and moment == "before the rename":
            leave()
        replaced = real(self, to)
        if Path(to).name == target:
            leave()
        return replaced

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            run(target)
    for path in aside.iterdir():
        path.rename(tmp_path / path.name)
    assert (tmp_path / (target + ".resume.json")).exists()
    seen: list[object] = []
    if (tmp_path / (target + ".partial")).exists():
        with pytest.raises(DataError, match="continue with --resume"):
            run(target)
        run(target, resume=True, on_progress=seen.append)
        assert not seen, "nothing is done twice"
    else:  # the output has its name: another run is a run like any other
        run(target)
    assert names(tmp_path) == sorted(["in.csv", target, "whole-" + target])
    assert (tmp_path / target).read_bytes() == (tmp_path / ("whole-" + target)).read_bytes()


def test_what_a_power_cut_must_not_lose_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
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


@pytest.mark.parametrize("target", ["out.csv", "out.csv.gz", "out.parquet"])
def test_an_output_that_is_replaced_keeps_its_mode(
    tmp_path: Path, run: Callable[..., Summary], target: str
) -> None:
    if target.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / target).touch()
    (tmp_path / target).chmod(0o600)
    seen = set()

    def look(progress: object) -> None:
        seen.add(stat.S_IMODE((tmp_path / f"{target}.partial").stat().st_mode))

    run(target, on_progress=look)
    assert seen == {stat.S_IMODE((tmp_path / target).stat().st_mode)} == {0o600}
    run("new-" + target)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / ("new-" + target)).stat().st_mode) == 0o666 & ~mask


def test_a_run_that_starts_again_removes_all_that_a_killed_one_left(
    tmp_path: Path, run: Callable[..., Summary]
) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "out.parquet.partial").write_text("half")
    for name in ("out.parquet", "out.parquet.resume.json"):
        (tmp_path / f".{name}.0a1b2c3d.partial").write_text("half")
    run("out.parquet", checkpoint_seconds=None)
    assert names(tmp_path) == ["in.csv", "out.parquet"]


def damage(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def forge(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Another journal whose own checksum is right."""

    def apply(folder: Path) -> None:
        path = folder / "out.csv.resume.json"
        content = json.loads(path.read_bytes())
        del content["sha256"]
        change(content)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps({**content, "sha256": digest}))

    return apply


def flip(data: bytes, part: float) -> bytes:
    place = int(len(data) * part)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def same_size_and_time(folder: Path) -> None:
    path = folder / "in.csv"
    state = path.stat()
    data = bytearray(path.read_bytes())
    place = data.index(b"000170,A w") + 9
    data[place] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


PARTIAL = "out.csv.partial"
JOURNAL = "out.csv.resume.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage(PARTIAL, lambda data: flip(data, 0.25)), "does not match its journal"),
        (damage(PARTIAL, lambda data: flip(data, 0)), "does not match its journal"),
        (damage(PARTIAL, lambda data: data[:1000] + bytes(5000) + data[6000:]), "does not match"),
        (damage(PARTIAL, lambda data: data[:-50_000]), "is shorter than its journal says"),
        (damage(PARTIAL, lambda data: b""), "is shorter than its journal says"),
        (damage(JOURNAL, lambda data: flip(data, 0.5)), "is damaged or of another"),
        (damage(JOURNAL, lambda data: data[:-1]), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b""), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b"null"), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b"[]"), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b"{}"), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b'"\xff"'), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b'{"sha256": 1, "run": 2, "rows": 3}'), "is damaged or of"),
        (damage(JOURNAL, lambda data: b"[" * 100_000), "is damaged or of another"),
        (damage(JOURNAL, lambda data: b'{"a":' * 100_000), "is damaged or of another"),
        (damage(JOURNAL, lambda data: data.replace(b'"rows": ', b'"rows": 1')), "is damaged or"),
        (forge(lambda content: content.update(rows="7")), "is damaged or of another"),
        (forge(lambda content: content.update(more=7)), "is damaged or of another"),
        (forge(lambda content: content.update(rows=content["rows"] + 1)), "input has changed"),
        (forge(lambda content: content.update(rows=10**9)), "input has changed"),
        (forge(lambda content: content.update(rows=-1)), "input has changed"),
        (forge(lambda content: content.update(input_checksum="0")), "input has changed"),
        (
            forge(lambda content: content.update(output_bytes=content["output_bytes"] - 100)),
            "does not match",
        ),
        (forge(lambda content: content.update(output_bytes=10**9)), "is shorter than"),
        (same_size_and_time, "an input has changed since the run started"),
        (lambda folder: (folder / "in.csv").write_text("id,text\n1,x\n"), "in.csv was "),
    ],
)
def test_a_run_is_resumed_from_what_it_was_or_not_at_all(
    tmp_path: Path, run: Callable[..., Summary], change: Callable[[Path], None], message: str
) -> None:
    interrupt(run, after=5)
    change(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        run(resume=True)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before, "nothing is destroyed"


def test_bytes_behind_what_the_journal_speaks_of_are_forgotten(
    tmp_path: Path, run: Callable[..., Summary]
) -> None:
    run("whole.csv")
    interrupt(run, after=7)
    with (tmp_path / "out.csv.partial").open("ab") as file:
        file.write(b"half a ro")
    run(resume=True)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_the_summary_is_no_input_of_a_run_into_a_pipe(tmp_path: Path) -> None:
    write_input(tmp_path / "in.csv")
    with pytest.raises(DataError, match="is one of the inputs"):
        score_files(
            tmp_path / "in.csv",
            "/dev/null",
            format="csv",
            run=RunOptions(also_written=[tmp_path / "in.csv"]),
        )


def test_a_damaged_input_leaves_nothing_in_the_way_of_the_whole_one(
    tmp_path: Path, classifier: Classifier
) -> None:
    source = tmp_path / "in.txt.gz"
    target = tmp_path / "out.csv"
    whole = gzip.compress(b"".join(b"good %d %s\n" % (i, b"!" * 4000) for i in range(ROWS)))
    source.write_bytes(whole[:-50])
    with pytest.raises(DataError, match="cut short"):
        score_files(
            source, target, model=classifier, run=RunOptions(workers=1, checkpoint_seconds=0)
        )
    assert names(tmp_path) == ["in.txt.gz"]
    source.write_bytes(whole)
    assert score_files(source, target, model=classifier, run=RunOptions(workers=1)).rows == ROWS


def test_dev_stdout_is_a_stream_wherever_it_leads(
    tmp_path: Path, run: Callable[..., Summary], capfd: pytest.CaptureFixture[str]
) -> None:
    run("/dev/stdout", format="csv")
    assert capfd.readouterr().out.count("\n") == ROWS + 1
    assert Path("/dev/stdout").is_symlink()
    assert not list(Path("/dev").glob("stdout.*"))
