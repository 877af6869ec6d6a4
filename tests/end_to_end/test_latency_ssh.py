"""``edge-lstm latency --ssh``, against an ssh server of this machine's own on a loopback port."""

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from edge_lstm.modelfile import embedded_model

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="no OpenSSH server and client"),
]

NAME = re.compile(r"[\w.-]+")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running ssh server that is called 'device', and the environment in which 'ssh device' reaches it.

    Its python3 sees no installed package: what it needs must have been brought along.
    """
    folder = tmp_path_factory.mktemp("sshd")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    (folder / "bin").mkdir()
    python = folder / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -S "$@"\n')
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        f"PasswordAuthentication no\nPermitRootLogin yes\nSetEnv PATH={folder}/bin:/usr/bin:/bin\n"
    )
    (folder / "ssh_config").write_text(
        f"Host device\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n"
        f" IdentityFile {folder}/user\n IdentitiesOnly yes\n BatchMode yes\n"
        f" UserKnownHostsFile {folder}/known\n StrictHostKeyChecking accept-new\n"
    )
    (folder / "client").mkdir()
    client = folder / "client" / "ssh"
    client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    for script in (python, client):
        script.chmod(0o755)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a server that is root locks itself into
    server = subprocess.Popen(
        [str(SSHD), "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    try:
        for line in server.stderr:
            if "listening" in line:
                break
        else:
            pytest.skip("the ssh server does not start here")
        path = os.pathsep.join([str(folder / "client"), os.environ["PATH"]])
        package = os.pathsep.join(part for part in sys.path if part)
        yield {**os.environ, "PATH": path, "PYTHONPATH": package, "PYTHONIOENCODING": "utf-8"}
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of what edge-lstm needs, packed from what is installed here: no network."""
    folder = tmp_path_factory.mktemp("wheels")
    waiting, done = ["onnxruntime", "numpy", "typer"], set()
    while waiting:
        name = waiting.pop()
        if name.lower() in done:
            continue
        done.add(name.lower())
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform or Python
        with zipfile.ZipFile(folder / f"{name}-{found.version}-py3-none-any.whl", "w") as wheel:
            for file in found.files or ():
                if ".." not in file.parts and "__pycache__" not in file.parts and file.locate().is_file():
                    wheel.write(str(file.locate()), str(file))
        needed = [one for one in found.requires or () if "extra ==" not in one]
        waiting += [NAME.match(one)[0] for one in needed]  # type: ignore[index]
    return folder


def over_ssh(
    device: dict[str, str], *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_lstm", "latency", *arguments],
        capture_output=True,
        text=True,
        env=device,
        check=False,
        cwd=cwd,
        encoding="utf-8",
    )


def leftovers() -> set[Path]:
    return {path for path in Path("/tmp").glob("edge-lstm-latency-*") if path.is_dir()}


def test_the_device_measures_and_its_result_comes_back(
    device: dict[str, str], wheels: Path, tmp_path: Path
) -> None:
    before = leftovers()
    model = tmp_path / "my model.onnx"  # a blank in the name must survive two shells
    shutil.copy(embedded_model(), model)
    texts = tmp_path / "texts.csv"
    texts.write_text('text,label\n"It\'s good; $HOME `x`",pos\nkötü film,neg\n', encoding="utf-8")
    done = over_ssh(
        device,
        str(model),
        str(embedded_model()),
        "--ssh",
        "device",
        "--wheels",
        str(wheels),
        "--data",
        str(texts),
        "--runs",
        "40",
        "--cold-starts",
        "1",
        "--json",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["host"] == "device"
    assert document["texts"]["source"] == "texts.csv" and document["texts"]["count"] == 2
    assert [one["name"] for one in document["settings"]] == ["my model", "sentiment.int8"]
    assert [one["model"]["path"] for one in document["settings"]] == [str(model), str(embedded_model())]
    assert document["settings"][0]["cold_start"]["processes"] == 1
    assert leftovers() == before


def test_an_error_of_the_device_is_one_line_and_nothing_stays_there(
    device: dict[str, str], wheels: Path
) -> None:
    before = leftovers()
    done = over_ssh(device, "--ssh", "device", "--wheels", str(wheels), "--pin", "4000")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: device: cannot pin to CPUs 4000") and done.stderr.count("\n") == 1
    assert leftovers() == before


def measuring() -> list[int]:
    """Processes that measure in a folder made for --ssh, all that they need imported."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            folder = (process / "cwd").readlink()
            ticks = int((process / "stat").read_text().rpartition(")")[2].split()[11])
        except OSError:
            continue
        if b"--duration" in words and folder.name.startswith("edge-lstm-latency-") and ticks > 150:
            found.append(int(process.name))
    return found


def until(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Waits for something to come true."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_device_stops_measuring_when_the_command_here_ends(
    number: int, device: dict[str, str], wheels: Path
) -> None:
    before = leftovers()
    arguments = ["--ssh", "device", "--wheels", str(wheels), "--duration", "10m", "--cold-starts", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "edge_lstm", "latency", *arguments],
        env=device,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as command:
        assert until(lambda: bool(measuring()))
        if number == signal.SIGKILL:
            command.kill()
        else:
            os.killpg(command.pid, number)  # as a terminal does: to ssh too
        _, stderr = command.communicate(timeout=60)
    assert (command.returncode, stderr) == (-9 if number == signal.SIGKILL else 128 + number, b"")
    assert until(lambda: not measuring())
    assert until(lambda: leftovers() == before)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--ssh", "nowhere.invalid"], "ssh cannot reach nowhere.invalid"),
        (["--ssh", "-oProxyCommand=touch /tmp/x"], "is no host"),
        (["--ssh", "device", "--wheels", "/nonexistent"], "holds no wheels"),
        (["--ssh", "device", "--threads", "0"], "whole numbers"),
        (["none.onnx", "--ssh", "device"], "no model file at none.onnx"),
        (["--ssh", "device", "--samples", "x.csv"], "leave it out with --ssh"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_copied(
    device: dict[str, str], arguments: list[str], part: str
) -> None:
    done = over_ssh(device, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert part in done.stderr and done.stderr.count("\n") == 1
