"""Runs the tests of one room, by its name in tests/rooms.toml.

python tools/room.py ROOM [pytest's options]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from tools.breaks import load  # noqa: E402


def rooms() -> dict[str, Any]:
    """Return the files and the tests of each room."""
    return load(ROOT / "tests" / "rooms.toml")


def room_of(name: str) -> dict[str, list[str]]:
    """Return the files and the tests of a room; exit with the names of all if there is none."""
    try:
        return rooms()[name]
    except KeyError:
        sys.exit(f"there is no room {name!r}; there are {', '.join(rooms())}")


def main() -> None:
    """Run the tests of the room that the command line names."""
    if len(sys.argv) < 2:
        sys.exit(f"usage: room.py ROOM; there are {', '.join(rooms())}")
    tests = room_of(sys.argv[1])["tests"]
    line = [sys.executable, "-m", "pytest", "-n", "0", *tests, *sys.argv[2:]]
    sys.exit(subprocess.run(line, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
