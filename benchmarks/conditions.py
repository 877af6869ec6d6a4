"""What a figure depends on besides the tool: the machine and its load."""

from __future__ import annotations

import datetime
import os
import platform
from typing import Any

from edge_lstm.machine import this_machine

_BUSY = 0.5  # load average a CPU, before the run begins: above it the run shares the machine


def now() -> dict[str, Any]:
    """The machine at this moment."""
    machine = this_machine()
    load = os.getloadavg()[0]
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": machine.cpu or machine.architecture,
        "features": list(machine.features),
        "cpus": machine.usable_cores,
        "load_average": round(load, 2),
        "busy": load > _BUSY * machine.usable_cores,
        "system": f"{machine.kernel} {machine.architecture}",
        "python": platform.python_version(),
    }
