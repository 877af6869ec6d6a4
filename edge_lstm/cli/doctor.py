"""``edge-lstm doctor``: the checks of this device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from edge_lstm.cli.notes import wrapped
from edge_lstm.cli.options import (
    EngineOption,
    JsonOption,
    ModelArgument,
    ModelOption,
    one_model,
    option,
)
from edge_lstm.printable import counted, to_json

if TYPE_CHECKING:
    from edge_lstm.doctor.checks import Diagnosis


def command(
    file: ModelArgument = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    timeout: Annotated[
        float, option("SECONDS", "Time limit of a stage.", min=1, max=86_400)
    ] = 60.0,
    in_process: Annotated[
        bool,
        option(
            None,
            "Check without child processes (emulators, sandboxes); a crash ends the check.",
            "--in-process",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that this device runs a model correctly.

    It checks the system, the CPU, the packages, and the golden rows in the model file: texts with
    the answers of the machine that made it.

    The exit code is 0 if the device is fit, else 1.
    """
    from edge_lstm.core.engine import chosen_engine
    from edge_lstm.doctor.checks import examine
    from edge_lstm.errors import DataError

    model = one_model(file, model)
    if not timeout >= 1:  # NaN is in every range
        raise DataError("--timeout must be a number, from 1 to 86,400 seconds")
    if sys.stderr.isatty():
        print("checking …", file=sys.stderr)
    diagnosis = examine(model, chosen_engine(engine), timeout=timeout, in_process=in_process)
    if as_json:
        print(to_json(asdict(diagnosis), indent=2))
    else:
        print("\n".join(_lines(diagnosis)))
    if not diagnosis.fit:
        sys.exit(1)


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the facts of the machine, the findings and the verdict."""
    for name, text in _facts(diagnosis).items():
        if text:
            yield wrapped(text, name=name, indent=10)
    yield ""
    for check in diagnosis.checks:
        yield wrapped(check.line, name=check.state, indent=10)
    yield ""
    yield wrapped(diagnosis.verdict, indent=0)


def _facts(diagnosis: Diagnosis) -> dict[str, str | None]:
    """Return the facts of the machine by name; an unknown one may be empty or None."""
    machine = diagnosis.machine
    system = (machine.system, machine.kernel, machine.libc)
    cpu = f"{machine.cpu or 'unknown'}, {machine.architecture}, {counted(machine.cores, 'core')}"
    if machine.usable_cores != machine.cores:
        cpu += f", {machine.usable_cores} usable"
    if machine.cpu_quota is not None:
        cpu += f", quota {machine.cpu_quota:g}"
    sizes = {
        "": machine.memory_bytes,
        " available": machine.available_bytes,
        " in the control group": machine.memory_limit_bytes,
    }
    gib = [f"{size / 2**30:.1f} GiB{what}" for what, size in sizes.items() if size is not None]
    return {
        "board": machine.board,
        "system": ", ".join(part for part in system if part),
        "cpu": cpu,
        "features": " ".join(machine.features) or "unknown",
        "memory": ", ".join(gib) or "unknown",
        "python": f"{diagnosis.python}, {machine.bits}-bit, {sys.executable}",
        "packages": ", ".join(f"{name} {version}" for name, version in diagnosis.packages.items()),
    }
