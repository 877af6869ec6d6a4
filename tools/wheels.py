"""Builds the wheels of edge-lstm-native for every machine, with the compiler of the package
ziglang.

    python tools/wheels.py [--only aarch64] DIST

Each is checked for its size, and for the C library that it asks for.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "engine"
MODULE = sorted((ENGINE / "python" / "edge_lstm_native").glob("*.c"))
VERSION = (PROJECT / "edge_lstm" / "_version.py").read_text(encoding="utf-8").split('"')[-2]
FLAGS = [
    "-std=c11",
    "-O3",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-DPy_LIMITED_API=0x030A0000",
    f'-DEDGE_LSTM_VERSION="{VERSION}"',
]
ZIG = [sys.executable, "-m", "ziglang"]
MOST_BYTES = 400_000
# The wheel's platform → zig's target.
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "manylinux_2_17_armv7l": "arm-linux-gnueabihf.2.17",
    "manylinux_2_31_riscv64": "riscv64-linux-gnu.2.31",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "musllinux_1_2_armv7l": "arm-linux-musleabihf",
    "musllinux_1_2_riscv64": "riscv64-linux-musl",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
    "win_arm64": "aarch64-windows-gnu",
}
# What CPython's macros call, beside the names in the source.
OF_MACROS = (
    "_Py_Dealloc",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyType_GetFlags",
    "_Py_NoneStruct DATA",
)
# What CPython's headers ask of pyconfig.h; this machine's own has the sizes of this machine.
SIZES = ("INT", "LONG", "LONG_LONG", "SHORT", "FLOAT", "DOUBLE", "SIZE_T", "WCHAR_T", "POINTER")
CONFIG = "".join(f"#define SIZEOF_{name} __SIZEOF_{name}__\n" for name in SIZES)
CONFIG += "#define SIZEOF_VOID_P SIZEOF_POINTER\n#ifdef _WIN32\n#define MS_WINDOWS\n"
CONFIG += "#define HAVE_DECLSPEC_DLL\n#define Py_ENABLE_SHARED\n#endif\n"


def compile_module(target: str, include: Path, folder: Path) -> Path:
    """Compile the extension module for one of zig's targets."""
    windows = "windows" in target
    more = ["-s", "-fPIC"]
    if "macos" in target:
        more += ["-Wl,-undefined,dynamic_lookup"]
    if windows:  # each symbol comes from a named DLL: python3.dll has those of the stable ABI
        used = {name for path in MODULE for name in re.findall(r"\bPy[A-Z_]\w+", path.read_text())}
        used |= {
            f"_{name}_SizeT" for name in used if re.match("PyArg_|Py_Build|PyObject_CallM", name)
        }
        names = sorted({*used, *OF_MACROS})
        (folder / "python3.def").write_text("\n".join(["LIBRARY python3.dll", "EXPORTS", *names]))
        machine = "arm64" if "aarch64" in target else "i386:x86-64"
        library = str(folder / "python3.lib")
        command = ["dlltool", "-m", machine, "-d", str(folder / "python3.def"), "-l", library]
        subprocess.run([*ZIG, *command], check=True)
        more = ["-s", library]
    out = folder / ("_engine.pyd" if windows else "_engine.abi3.so")
    paths = [f"-I{include}", f"-I{ENGINE}", *MODULE, ENGINE / "edge_lstm.c"]
    subprocess.run(
        [*ZIG, "cc", "-target", target, *FLAGS, "-shared", *paths, *more, "-o", out], check=True
    )
    return out


def wheel(source: Path, module: Path, platform: str, dist: Path) -> Path:
    """Write the wheel for a platform: this machine's, with another module and tag."""
    path = dist / re.sub(r"abi3-.*", f"abi3-{platform}.whl", source.name)
    record = ""
    record_name = ""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            folder = name.partition("/")[0]
            if name.endswith("/RECORD"):
                record_name = name
                continue
            if name.endswith(".so"):
                name = f"{folder}/{module.name}"
                data = module.read_bytes()
            elif name.endswith("/WHEEL"):
                data = re.sub(rb"(?<=Tag: cp310-abi3-).*", platform.encode(), data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(data)}\n"
            new.writestr(name, data)
        new.writestr(record_name, f"{record}{record_name},,\n")
    return path


def check(path: Path, module: bytes, platform: str) -> None:
    """SystemExit where the wheel is too large or asks for a later glibc than its tag says."""
    if (size := path.stat().st_size) > MOST_BYTES:
        sys.exit(f"error: {path.name} has {size:,} bytes, at most {MOST_BYTES:,} are allowed")
    asked = max((int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", module)), default=0)
    if asked and asked > int(platform.split("_")[2]):
        sys.exit(f"error: {path.name} needs glibc 2.{asked}")
    print(f"{size:>8,} bytes  {path.name}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dist", type=Path)
    parser.add_argument("--only", default="", help="platforms whose name has this in it")
    asked = parser.parse_args()
    asked.dist.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pip = (
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
        )
        subprocess.run([*pip, ENGINE / "python"], check=True)
        (source,) = folder.glob("*.whl")
        include = shutil.copytree(sysconfig.get_path("include"), folder / "include")
        (include / "pyconfig.h").write_text(CONFIG)
        for platform, target in TARGETS.items():
            if asked.only in platform:
                module = compile_module(target, include, folder)
                check(wheel(source, module, platform, asked.dist), module.read_bytes(), platform)


if __name__ == "__main__":
    main()
