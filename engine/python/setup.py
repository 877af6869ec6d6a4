"""The extension module: one abi3 file for CPython 3.10 and later."""

import sys
from pathlib import Path

from setuptools import Extension, setup

FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"]
engine = Extension(
    "edge_lstm_native._engine",
    ["edge_lstm_native/_engine.c", "../edge_lstm.c"],
    include_dirs=[".."],
    depends=["../edge_lstm.h", *sorted(map(str, Path("../src").glob("*.h")))],
    define_macros=[("Py_LIMITED_API", "0x030A0000")],
    extra_compile_args=FLAGS if sys.platform != "win32" else [],
    extra_link_args=["-Wl,-s"] if sys.platform == "linux" else [],
    py_limited_api=True,
)
setup(ext_modules=[engine], options={"bdist_wheel": {"py_limited_api": "cp310"}})
