"""Facts of this machine: system, CPU and its features, usable cores and memory.

Standard library only. Every file of the system is read below ``root``, so that a test can provide
another machine. A fact that cannot be found out is None or empty; nothing here raises.
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
    "sse4_1", "avx", "f16c", "fma", "avx2",
    "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8",
)
ARM_FEATURES = ("neon", "asimd", "atomics", "asimdhp", "asimddp", "i8mm", "bf16", "sve")
# Main ID Register part numbers (implementer 0x41, Arm) of cores found in small devices.
ARM_CORES = {
    "0xc07": "Cortex-A7", "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd41": "Cortex-A78",
}
# fmt: on


@dataclass(frozen=True)
class Machine:
    """A machine as this process sees it.

    board: name of the device; None if its firmware does not tell (a Raspberry Pi's does).
    system: name and version of the operating system.
    kernel: its name and release.
    libc: the C library; None if unknown.
    architecture: the kernel's, such as x86_64 or aarch64.
    bits: 32 or 64, of this Python.
    cpu: its name; None if unknown.
    features: features of the CPU, among X86_FEATURES and ARM_FEATURES.
    cores: of the machine.
    usable_cores: cores that this process may run on.
    cpu_quota: CPU time per time that the control group allows, 2.0 for two CPUs; None without a
        limit.
    memory_bytes: of the machine.
    available_bytes: the part of it that is free for programs.
    memory_limit_bytes: the control group's limit; None without one.
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
    """Return the facts of the machine that this process runs on."""
    cpu, features = _cpu(read_text(root / "proc/cpuinfo"))
    memory = sizes(read_text(root / "proc/meminfo"))
    release = read_text(root / "etc/os-release")
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
        cores=os.cpu_count() or 1,
        usable_cores=_usable_cores(),
        cpu_quota=_cpu_quota(root),
        memory_bytes=memory.get("MemTotal", _physical_memory(root)),
        available_bytes=memory.get("MemAvailable"),
        memory_limit_bytes=_memory_limit(root),
    )


def available_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, at least 1.

    Its affinity and the CPU quota of its control groups limit them.
    """
    cores = _usable_cores()
    quota = _cpu_quota(root)
    return cores if quota is None else max(1, min(cores, int(quota)))


def memory_to_use(root: Path = Path("/")) -> int | None:
    """Return the most bytes that this process may use; None if unknown.

    The machine and the control group limit them.
    """
    total = sizes(read_text(root / "proc/meminfo")).get("MemTotal", _physical_memory(root))
    limits = (total, _memory_limit(root))
    return min((size for size in limits if size is not None), default=None)


def _usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_text(path: Path) -> str:
    """Return the text of a system file, empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu(cpuinfo: str) -> tuple[str | None, tuple[str, ...]]:
    """Parse /proc/cpuinfo into the CPU's name and its features; the keys differ by architecture."""
    fields = dict(
        reversed(re.findall(r"^([^:\n]+?)[ \t]*:[ \t]*(.*)$", cpuinfo, re.MULTILINE))
    )  # reversed: the first CPU's lines win
    name = fields.get("model name") or fields.get("Model")
    # Big and little cores: one line "CPU part" each.
    parts = dict.fromkeys(re.findall(r"^CPU part[ \t]*:[ \t]*(\S+)", cpuinfo, re.MULTILINE))
    if parts and fields.get("CPU implementer", "0x41") == "0x41":
        name = " + ".join(ARM_CORES.get(part.lower(), f"ARM part {part}") for part in parts)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return name, tuple(f for f in (*X86_FEATURES, *ARM_FEATURES) if f in flags)


def sizes(text: str) -> dict[str, int]:
    """Parse /proc/meminfo or /proc/self/status into name → bytes."""
    lines = re.findall(r"^(\w+):\s+(\d{1,18}) kB$", text, re.MULTILINE)
    return {name: int(kb) * 1024 for name, kb in lines}


def _physical_memory(root: Path) -> int | None:
    """Return the machine's memory in bytes on systems without /proc, such as macOS."""
    if root != Path("/"):
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _group_files(root: Path, name: str) -> list[str]:
    """Return the texts of a control group file, in this process's group and every group above it.

    name: of the file.
    """
    texts = []
    for line in read_text(root / "proc/self/cgroup").splitlines():
        inside = PurePosixPath(line.rpartition(":")[2].lstrip("/"))
        for group in (inside, *inside.parents):
            text = read_text(root / "sys/fs/cgroup" / group / name).strip()
            if text:
                texts.append(text)
    return texts


def _cpu_quota(root: Path) -> float | None:
    """Return the CPU time per time that the tightest control group allows."""
    # "50000 100000", or "max 100000"
    limits = "\n".join(_group_files(root, "cpu.max"))
    found = re.findall(r"^(\d+) (\d*[1-9]\d*)$", limits, re.MULTILINE)
    return min((int(quota) / int(period) for quota, period in found), default=None)


def _memory_limit(root: Path) -> int | None:
    """Return the bytes that the tightest control group allows."""
    texts = _group_files(root, "memory.max")
    return min((int(text) for text in texts if text.isdecimal()), default=None)
