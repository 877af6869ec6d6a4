"""Runs a command as on a CPU without AMX, the tile unit of Intel's servers since 2023.

    python -m benchmarks.without_amx make bench

The CPUs that the project is for have none, and at batch 1 ONNX Runtime is slower with it than
without. Linux gives a process AMX when it asks (arch_prctl; Documentation/arch/x86/xstate.rst of
the kernel), so a seccomp filter that refuses the request leaves every tool with the kernels that it
has for other CPUs. Where there is no AMX the command runs as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

# <asm/unistd_64.h>, <asm/prctl.h>, <linux/audit.h>, <linux/prctl.h>, <linux/seccomp.h>
_ARCH_PRCTL = 158
_REQUEST_PERMISSION = 0x1023
_TILE_DATA = 18
_X86_64 = 0xC000003E
_NO_NEW_PRIVILEGES = 38
_SET_SECCOMP = 22
_FILTER = 2
# EPERM
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | 1
# offsets in struct seccomp_data
_NUMBER = 0
_ARCHITECTURE = 4
_FIRST_ARGUMENT = 16
# <linux/bpf_common.h>
_LOAD = 0x20
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06

# (code, steps further if equal, steps further if not, operand)
_PROGRAM = (
    (_LOAD, 0, 0, _ARCHITECTURE),
    (_JUMP_IF_EQUAL, 0, 4, _X86_64),
    (_LOAD, 0, 0, _NUMBER),
    (_JUMP_IF_EQUAL, 0, 2, _ARCH_PRCTL),
    (_LOAD, 0, 0, _FIRST_ARGUMENT),
    (_JUMP_IF_EQUAL, 1, 0, _REQUEST_PERMISSION),
    (_RETURN, 0, 0, _ALLOW),
    (_RETURN, 0, 0, _REFUSE),
)


def permitted() -> bool:
    """Whether this process may use AMX. It asks, and has it from then on."""
    if not _on_linux_x86_64():
        return False
    numbers = map(ctypes.c_long, (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA))
    return bool(ctypes.CDLL(None).syscall(*numbers) == 0)


def withhold() -> None:
    """Refuses AMX to every program that this process starts or becomes; nothing takes that back.

    What this process was granted already, as by an import of onnxruntime, it keeps until it becomes
    another. Raises OSError where the kernel has no seccomp.
    """
    if not _on_linux_x86_64():
        return
    library = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in _PROGRAM))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(_PROGRAM), ctypes.addressof(code)))
    for option, first, second in (
        (_NO_NEW_PRIVILEGES, 1, 0),
        (_SET_SECCOMP, _FILTER, ctypes.addressof(program)),
    ):
        rest = (ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0))
        if library.prctl(ctypes.c_int(option), *rest) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"AMX cannot be withheld: {os.strerror(error)}")


def _on_linux_x86_64() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def main() -> None:
    """Becomes the command that is named."""
    if len(sys.argv) < 2:
        sys.exit("name the command to run: python -m benchmarks.without_amx COMMAND …")
    try:
        withhold()
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
