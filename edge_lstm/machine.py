"""What this machine is: system, CPU and its features, the cores and the memory it may use.

Standard library only, and every file of the system is read below ``root``, so that a test can show
it
another machine. What cannot be found out is None or empty: nothing here raises.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Features that decide which kernels ONNX Runtime picks, in the order of the generations.
# fmt: off
X86_FEATURES = (
    "sse4_1", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8",
)
ARM_FEATURES = ("neon", "asimd", "atomics", "asimdhp", "asimddp", "i8mm", "bf16", "sve")
# Main ID Register part numbers (implementer 0x41, Arm) of cores found in small devices.
ARM_CORES = {
    "0xc07": "Cortex-A7", "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd41": "Cortex-A78",
}
# fmt: on
_NO_LIMIT = 2**60  # cgroup version 1 writes a number near 2**63 for "no limit"


@dataclass(frozen=True)
class Machine:
    """A machine as a process of it sees it.

    board: the device's own name, where its firmware tells (a Raspberry Pi does).
    architecture: the kernel's, such as x86_64 or aarch64; bits: 32 or 64, of this Python.
    features: those of X86_FEATURES and ARM_FEATURES that the CPU has.
    cores: of the machine; usable_cores: those this process may run on.
    cpu_quota: CPUs' worth of time the control group allows, None for no limit.
    memory_bytes, available_bytes: of the machine; memory_limit_bytes: the control group's, or None.
    """

    board: str | None
    system: str
    kernel: str
    libc: str | None
    architecture: str
    bits: int
    cpu: str | None
    features: tuple[str, ...]
    cores: int
    usable_cores: int
    cpu_quota: float | None
    memory_bytes: int | None
    available_bytes: int | None
    memory_limit_bytes: int | None


def this_machine(root: Path = Path("/")) -> Machine:
    """The facts of the machine that this process runs on."""
    cpu, features = _cpu(read_text(root / "proc/cpuinfo"))
    memory = sizes(read_text(root / "proc/meminfo"))
    cores, release = os.cpu_count() or 1, read_text(root / "etc/os-release")
    system = re.search(r"^PRETTY_NAME=[\"']?([^\"'\n]*)", release, re.MULTILINE)
    return Machine(
        board=read_text(root / "proc/device-tree/model").strip("\0\n ") or None,
        system=system[1] if system else platform.platform(terse=True),
        kernel=f"{platform.system()} {platform.release()}",
        libc=" ".join(platform.libc_ver()).strip() or None,
        architecture=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        cpu=cpu or platform.processor() or None,
        features=features,
        cores=cores,
        usable_cores=_usable_cores(),
        cpu_quota=_cpu_quota(root),
        memory_bytes=memory.get("MemTotal", _physical_memory(root)),
        available_bytes=memory.get("MemAvailable"),
        memory_limit_bytes=_memory_limit(root),
    )


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use, at least 1: its affinity, and the CPU quota of its control
    groups."""
    quota = _cpu_quota(root)
    cores = _usable_cores()
    return cores if quota is None else max(1, min(cores, int(quota)))


def memory_to_use(root: Path = Path("/")) -> int | None:
    """Bytes that this process may use at most: the machine's or its control group's; None:
    unknown."""
    total = sizes(read_text(root / "proc/meminfo")).get("MemTotal", _physical_memory(root))
    limits = (total, _memory_limit(root))
    return min((size for size in limits if size is not None), default=None)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_text(path: Path) -> str:
    """A file of the system, empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu(cpuinfo: str) -> tuple[str | None, tuple[str, ...]]:
    """/proc/cpuinfo → the CPU's name and its features; x86 and ARM name them differently."""
    lines = re.findall(r"^([^:\n]+?)[ \t]*:[ \t]*(.*)$", cpuinfo, re.MULTILINE)
    fields = dict(reversed(lines))  # of the first CPU
    name = fields.get("model name") or fields.get("Model")
    # Big and little cores: one line "CPU part" each.
    parts = dict.fromkeys(re.findall(r"^CPU part[ \t]*:[ \t]*(\S+)", cpuinfo, re.MULTILINE))
    if parts and fields.get("CPU implementer", "0x41") == "0x41":
        name = " + ".join(ARM_CORES.get(part.lower(), f"ARM part {part}") for part in parts)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return name, tuple(f for f in (*X86_FEATURES, *ARM_FEATURES) if f in flags)


def sizes(text: str) -> dict[str, int]:
    """/proc/meminfo or /proc/self/status → bytes by name."""
    return {
        name: int(kb) * 1024
        for name, kb in re.findall(r"^(\w+):\s+(\d{1,18}) kB$", text, re.MULTILINE)
    }


def _physical_memory(root: Path) -> int | None:
    """Bytes of this machine's memory where there is no /proc, as on macOS."""
    if root != Path("/"):
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def group_files(root: Path, controller: str, name: str) -> list[str]:
    """A control group file's text in this process's group and in every group above it.

    Version 2 has one tree; version 1 has one for each controller.
    """
    texts = []
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / (controllers and controller)
        inside = PurePosixPath(path.lstrip("/"))
        for group in (inside, *inside.parents):
            text = read_text(base / group / name).strip()
            if text:
                texts.append(text)
    return texts


def _cpu_quota(root: Path) -> float | None:
    """CPUs' worth of time that the tightest control group allows."""
    # Version 2: "50000 100000", or "max 100000"; version 1: two files, -1 for no limit.
    pairs = [text.partition(" ")[::2] for text in group_files(root, "cpu", "cpu.max")]
    periods = group_files(root, "cpu", "cpu.cfs_period_us")
    pairs += zip(group_files(root, "cpu", "cpu.cfs_quota_us"), periods)
    quotas = [int(q) / int(p) for q, p in pairs if q.isdecimal() and p.isdecimal() and int(p)]
    return min(quotas, default=None)


def _memory_limit(root: Path) -> int | None:
    """Bytes that the tightest control group allows."""
    texts = group_files(root, "memory", "memory.max") + group_files(
        root, "memory", "memory.limit_in_bytes"
    )
    return min(
        (int(text) for text in texts if text.isdecimal() and int(text) < _NO_LIMIT), default=None
    )
