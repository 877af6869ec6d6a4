"""The extension module: one abi3 file for CPython 3.10 and later.

In a clone, the engine and the version lie outside this folder. An sdist holds them in ``clone/``.
"""

import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.sdist import sdist

IN_SDIST = Path("clone")
CLONE = IN_SDIST if IN_SDIST.is_dir() else Path("..", "..")
VERSION_FILE = CLONE / "edge_lstm" / "_version.py"
ENGINE = CLONE / "engine"
MODULE = Path("edge_lstm_native")
HEADERS = [*ENGINE.glob("*.h"), *ENGINE.glob("src/*.h")]
VERSION = VERSION_FILE.read_text(encoding="utf-8").split('"')[-2]
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"]


class Sdist(sdist):
    """An sdist that is built without the clone."""

    def make_release_tree(self, base_dir, files):
        """Copy the files of this folder, and those of the clone."""
        super().make_release_tree(base_dir, [name for name in files if Path(name).parts[0] != ".."])
        for path in [VERSION_FILE, ENGINE / "edge_lstm.c", *HEADERS]:
            copy = Path(base_dir, IN_SDIST, path.relative_to(CLONE))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


engine = Extension(
    "edge_lstm_native._engine",
    [path.as_posix() for path in [*sorted(MODULE.glob("*.c")), ENGINE / "edge_lstm.c"]],
    include_dirs=[ENGINE.as_posix()],
    depends=sorted(path.as_posix() for path in [*MODULE.glob("*.h"), *HEADERS]),
    define_macros=[("Py_LIMITED_API", "0x030A0000"), ("EDGE_LSTM_VERSION", f'"{VERSION}"')],
    extra_compile_args=FLAGS if sys.platform != "win32" else [],
    extra_link_args=["-Wl,-s"] if sys.platform == "linux" else [],
    py_limited_api=True,
)
setup(
    version=VERSION,
    ext_modules=[engine],
    cmdclass={"sdist": Sdist},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
