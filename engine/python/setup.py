"""The extension module: one abi3 file for CPython 3.10 and later."""

import sys
from pathlib import Path

from setuptools import Extension, setup

FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"]
engine = Extension(
    "edge_lstm_native._engine",
    [*map(str, sorted(Path("edge_lstm_native").glob("*.c"))), "../edge_lstm.c"],
    include_dirs=[".."],
    depends=[*sorted(map(str, [*Path("..").glob("**/*.h")]))],
    define_macros=[("Py_LIMITED_API", "0x030A0000")],
    extra_compile_args=FLAGS if sys.platform != "win32" else [],
    extra_link_args=["-Wl,-s"] if sys.platform == "linux" else [],
    py_limited_api=True,
)
setup(ext_modules=[engine], options={"bdist_wheel": {"py_limited_api": "cp310"}})
