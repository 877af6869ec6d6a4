"""What a figure depends on besides the tool: the machine and its load."""

from __future__ import annotations

import datetime
import os
import platform
from typing import Any

from benchmarks import without_amx
from edge_lstm.system.machine import this_machine

_AMX = "amx_int8"
_BUSY = 0.5  # load average per CPU, before the run begins: above it the run shares the machine


def now() -> dict[str, Any]:
    """Return the machine at this moment."""
    machine = this_machine()
    withheld = [_AMX] if _AMX in machine.features and not without_amx.permitted() else []
    load = os.getloadavg()[0]
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": machine.cpu or machine.architecture,
        "features": [name for name in machine.features if name not in withheld],
        "withheld": withheld,
        "cpus": machine.usable_cores,
        "load_average": round(load, 2),
        "busy": load > _BUSY * machine.usable_cores,
        "system": f"{machine.kernel} {machine.architecture}",
        "python": platform.python_version(),
    }


def cpu_of(conditions: dict[str, Any]) -> str:
    """Return the CPU with the last of its features, and what of it no tool was allowed to use."""
    said = ", ".join(
        [conditions["cpu"], f"{conditions['cpus']} CPUs", *conditions["features"][-3:]]
    )
    return said + (" (AMX withheld from every tool)" if conditions.get("withheld") else "")
