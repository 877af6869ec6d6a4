"""Makes targets of the Makefile, each of them, whatever fails, and some beside others.

    python tools/parts.py MAKE TARGET[:BESIDE,...] ...

What is made beside a target is shown behind it. All ends with the tests that were skipped, and
why, and with the targets that failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import IO


def failing(make: str, targets: list[str], shown: IO[bytes], skipped: list[str]) -> list[str]:
    """Make targets one after another; return those that failed.

    shown: what they print is written to it.
    skipped: pytest's lines about skipped tests are added to it.
    """
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} -rfEs"
    failed = []
    for target in targets:
        with subprocess.Popen(
            [make, "--no-print-directory", target],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTEST_ADDOPTS": options},
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                shown.write(line)
                shown.flush()
                if line.startswith(b"SKIPPED "):
                    skipped.append(line.decode("utf-8", "replace").rstrip())
        if process.returncode != 0:
            failed.append(target)
    return failed


def main() -> None:
    """Make the targets of the command line; exit code 1 if one failed."""
    make, *parts = sys.argv[1:]
    skipped: list[str] = []
    failed = []
    for part in parts:
        front, _, others = part.partition(":")
        beside = others.split(",") if others else []
        with ThreadPoolExecutor(1) as thread, tempfile.TemporaryFile() as log:
            running = thread.submit(failing, make, beside, log, skipped)
            failed += failing(make, [front], sys.stdout.buffer, skipped)
            failed += running.result()
            log.seek(0)
            shutil.copyfileobj(log, sys.stdout.buffer)
            sys.stdout.flush()
    print("\nSkipped tests, and why:", *(skipped or ["none"]), sep="\n")
    if failed:
        sys.exit(f"\nfailed: {', '.join(failed)}")
    print(f"\npassed: {', '.join(parts)}")


if __name__ == "__main__":
    main()
