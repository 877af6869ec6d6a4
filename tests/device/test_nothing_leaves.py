"""No device command opens a connection or leaves a file in the home; ONNX Runtime's telemetry is
off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import finished
from model_files import SMALL

# Of Python alone: that native code asks for no address is seen under strace.
REFUSE = """
import os, sys

def refuse(event, arguments):
    calls = ("connect", "bind", "sendto", "getaddrinfo", "gethostbyname")
    if event.removeprefix("socket.") in calls:
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {arguments}\\n")
        raise PermissionError(event)

sys.addaudithook(refuse)
"""
COMMANDS = [
    *("predict hi", "explain hi", "evaluate t.csv", "inspect", "page -o p.html", "doctor"),
    *("score t.csv -o o.csv -q -w 1", "score t.csv -o o.csv -q -w 2"),
    "latency -m m.onnx --runs 5 --cold-starts 1",
]
TELEMETRY = "ORT_DISABLE_TELEMETRY"


def run(code: str, folder: Path, *, traced: bool = False, telemetry: str | None = None) -> str:
    """Runs Python with an empty home, in which nothing may be made. → its standard output, as it
    is.

    traced: under strace, in which no process of it may open a socket of the internet or connect
        one.
    """
    home, hook, asked, trace = (folder / name for name in ("home", "hook", "asked", "trace"))
    home.mkdir()
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(REFUSE)
    paths = [str(hook), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))
    }
    environment = {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(paths),
        "ASKED": str(asked),
    }
    if telemetry is not None:
        environment[TELEMETRY] = telemetry
    strace = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(trace)] if traced else []
    done = finished(
        [*strace, sys.executable, "-c", code],
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert not asked.exists(), asked.read_text()
    if traced:
        calls = trace.read_text().splitlines()
        assert [call for call in calls if re.search(r"AF_INET|\b(connect|bind)\(", call)] == []
    if telemetry is None:
        assert [str(path.relative_to(home)) for path in home.rglob("*")] == []
    return done.stdout


def can_trace() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None
        and subprocess.run([strace, "-qq", "true"], capture_output=True).returncode == 0
    )


def test_a_device_command_asks_no_address_and_leaves_no_file(folder: Path) -> None:
    shutil.copy(SMALL, "m.onnx")
    Path("t.csv").write_text("text,label\ngood film,pos\nbad film,neg\n")
    code = (
        "import sys; from edge_lstm.__main__ import main\n"
        f"for command in {COMMANDS!r}:\n"
        "    sys.argv[1:] = command.split()\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, command\n"
    )
    run(code, folder, traced=can_trace())


@pytest.mark.parametrize(
    "code",
    [
        "from edge_lstm import Classifier; Classifier.load().predict(['hi'])",
        # What a worker of Ray unpickles.
        "import edge_lstm.scoring.ray, onnxruntime",
        "import edge_lstm_export, onnxruntime",
        pytest.param("import benchmarks, onnxruntime", marks=pytest.mark.needs("benchmarks")),
    ],
)
def test_whatever_is_imported_first_turns_telemetry_off(folder: Path, code: str) -> None:
    run(code, folder)


def test_a_setting_of_the_users_own_stands(folder: Path) -> None:
    code = f"import os, edge_lstm; print(os.environ[{TELEMETRY!r}])"
    assert run(code, folder, telemetry="0") == "0\n"
