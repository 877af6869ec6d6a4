"""What a process may use of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines import files

from edge_lstm.system import machine


@pytest.mark.parametrize(
    ("says", "cores"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "250000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "20000 100000\n"}, 1),
        # Inside a container the group's path is that of the host, and its limit stands at the top.
        ({"proc/self/cgroup": "0::/docker/1f\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
        ({"proc/self/cgroup": "nonsense\n\n0\n", "sys/fs/cgroup/cpu.max": "much\n"}, 8),
    ],
)
def test_the_cores_to_use_heed_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    assert machine.available_cores(files(tmp_path, says)) == cores
