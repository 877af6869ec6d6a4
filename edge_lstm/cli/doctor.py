"""``edge-lstm doctor``: does this device run a model, and run it right?"""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import JsonOption, ProviderOption
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.doctor.checks import Diagnosis


def command(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="Model file.  [default: the embedded model]", show_default=False
        ),
    ] = None,
    provider: ProviderOption = "CPUExecutionProvider",
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=1, help="Time allowed for the imports and the model."
        ),
    ] = 60.0,
    in_process: Annotated[
        bool,
        typer.Option(
            "--in-process", help="Start no child process (emulators, sandboxes); a crash then ends the check."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check whether this device runs a model, and runs it right: the system, the CPU, the packages,
    whether onnxruntime imports at all, and whether the answers to the texts that the model file carries
    (its golden rows) are those of the machine that made it.

    Exit code 0 when the device is fit, 1 when it is not.
    """
    from edge_lstm.doctor.checks import examine

    diagnosis = examine(model, provider=provider, timeout=timeout, in_process=in_process)
    if as_json:
        print(to_json(diagnosis.to_json(), indent=2))
    else:
        print("\n".join(_lines(diagnosis)))
    if not diagnosis.fit:
        sys.exit(1)


def _lines(diagnosis: Diagnosis) -> list[str]:
    machine = diagnosis.machine
    cores = f"{machine.cores} cores"
    if machine.usable_cores != machine.cores:
        cores += f", {machine.usable_cores} usable"
    if machine.cpu_quota is not None:
        cores += f", quota {machine.cpu_quota:g}"
    memory = [
        f"{bytes_ / 2**30:.1f} GiB{what}"
        for bytes_, what in (
            (machine.memory_bytes, ""),
            (machine.available_bytes, " available"),
            (machine.memory_limit_bytes, " allowed by the control group"),
        )
        if bytes_ is not None
    ]
    facts = {
        "board": machine.board,
        "system": ", ".join(x for x in (machine.system, machine.kernel, machine.libc) if x),
        "cpu": f"{machine.cpu or 'unknown'}, {machine.architecture}, {cores}",
        "features": " ".join(machine.features) or "unknown",
        "memory": ", ".join(memory) or "unknown",
        "python": f"{diagnosis.python}, {machine.bits}-bit, {sys.executable}",
        "packages": ", ".join(f"{name} {version}" for name, version in diagnosis.packages.items()),
    }
    lines = [line for name, text in facts.items() if text for line in _wrapped(name, text)]
    lines.append("")
    for check in diagnosis.checks:
        lines += _wrapped(check.state, check.finding + (f"; {check.advice}" if check.advice else ""))
    return [*lines, "", *textwrap.wrap(printable(diagnosis.verdict), _width(), break_long_words=False)]


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        _width(),
        initial_indent=f"{name:<10}",
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int:
    """The terminal's width, at most 100; 80 through a pipe."""
    return min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else 80
