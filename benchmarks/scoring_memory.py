"""Memory of a scoring run over files of 100,000 and of 10 million rows: it must not grow with the file.

    python benchmarks/scoring_memory.py --rows 100000 --rows 10000000 --workers 2

Every process of the run is looked at four times a second; the figure is the most that any one of them
held (resident, shared libraries included). --limit sets RLIMIT_DATA for each process, in MiB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ("film", "plot", "the", "good", "bad", "great", "awful", "boring", "dull", "fun", "not", "very", "a")


def write_rows(path: Path, count: int) -> None:
    """A CSV of ``count`` short rows: an id and three to nine words."""
    random.seed(1)
    texts = [" ".join(random.choices(WORDS, k=random.randint(3, 9))) for _ in range(10_000)]
    with path.open("w") as file:
        file.write("id,text\n")
        for start in range(0, count, 10_000):
            rows = min(10_000, count - start)
            file.write("".join(f"{start + i},{texts[i]}\n" for i in range(rows)))


def tree(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for number in found:
        for task in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def resident(process: int) -> float:
    """MiB of a process, 0 where it is gone."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def run(source: Path, output: Path, options: list[str], limit: int | None) -> dict[str, float]:
    """One run of ``edge-lstm score``: its time, rows a second and the peaks of its processes."""

    def set_limit() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_DATA, (limit * 2**20, limit * 2**20))

    summary = output.with_suffix(".json")
    command = [sys.executable, "-m", "edge_lstm", "score", str(source), "-o", str(output)]
    command += ["--quiet", "--summary", str(summary), *options]
    peaks: dict[int, float] = {}
    process = subprocess.Popen(command, preexec_fn=set_limit)  # noqa: PLW1509 - nothing else runs here
    while process.poll() is None:
        for number in tree(process.pid):
            peaks[number] = max(peaks.get(number, 0.0), resident(number))
        time.sleep(0.25)
    if process.returncode:
        raise SystemExit(f"the run failed with exit code {process.returncode}")
    facts = json.loads(summary.read_text())
    parent = peaks.pop(process.pid)
    return {
        "rows": facts["rows"],
        "seconds": facts["seconds"],
        "rows_per_second": facts["rows_per_second"],
        "parent_mib": round(parent, 1),
        "largest_worker_mib": round(max(peaks.values(), default=parent), 1),
    }


def main() -> None:
    """Runs each size once and prints a line of JSON for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--low-memory", action="store_true")
    parser.add_argument("--limit", type=int, default=None, help="RLIMIT_DATA of each process, MiB")
    arguments = parser.parse_args()
    options = ["--low-memory"] if arguments.low_memory else ["--workers", str(arguments.workers)]
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.rows or [100_000, 10_000_000]:
            source, output = Path(folder, "in.csv"), Path(folder, "out.csv")
            write_rows(source, count)
            print(json.dumps(run(source, output, options, arguments.limit)), flush=True)


if __name__ == "__main__":
    main()
