"""Makes targets of the Makefile one after another, each of them, whatever fails.

    python tools/parts.py MAKE TARGET...

It ends with the tests that were skipped, and why, and with the targets that failed.
"""

from __future__ import annotations

import os
import subprocess
import sys


def made(make: str, target: str, skipped: list[str]) -> bool:
    """Make a target and show what it prints; return whether it succeeded.

    skipped: pytest's lines about skipped tests are added to it.
    """
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} -rfEs"
    with subprocess.Popen(
        [make, "--no-print-directory", target],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTEST_ADDOPTS": options},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            if line.startswith(b"SKIPPED "):
                skipped.append(line.decode("utf-8", "replace").rstrip())
    return process.returncode == 0


def main() -> None:
    """Make the targets of the command line; exit code 1 if one failed."""
    make, *targets = sys.argv[1:]
    skipped: list[str] = []
    failed = [target for target in targets if not made(make, target, skipped)]
    print("\nSkipped tests, and why:", *(skipped or ["none"]), sep="\n")
    if failed:
        sys.exit(f"\nfailed: {', '.join(failed)}")
    print(f"\npassed: {', '.join(targets)}")


if __name__ == "__main__":
    main()
