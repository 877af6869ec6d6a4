"""Of a long log, does what is labelled come from the rows' own kind? And what does a million lines take?

    python -m benchmarks.long_log FOLDER [--sets NAME ...] [--rows 200] [--lines 1000000]

FOLDER holds NAME/train.csv with the columns text,label. For each set the labelled rows are a random part of
its training split; the log is the rest of that split, among the training texts of all other sets. Shown is
how many of the first are among the 20,000 texts that ``edge-lstm train --unlabelled`` labels, and how many
would be by chance.
--lines: a log of so many lines, each of halves of two of these texts, read one after another as from a file;
the time to choose from it and the process's largest memory, and before it what making the lines took.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_lstm_export.further_texts import MOST_FURTHER, choose_further

from benchmarks.anyones_labels import Rows, read, single_label
from benchmarks.few_rows import drawn


def share_chosen(name: str, sets: dict[str, Rows], rows: str, seed: int) -> tuple[int, int, float, float]:
    """(lines of the log, those of the set's own, the share of these that is chosen, and by chance)."""
    labelled, _ = drawn(sets[name], rows, seed)
    known = set(labelled)
    own = [text for text in dict.fromkeys(sets[name][0]) if text not in known]
    others = {text for other, (texts, _) in sets.items() if other != name for text in texts}
    log = [*own, *sorted(others - known - set(own))]
    random.Random(seed).shuffle(log)
    chosen = set(choose_further(log, labelled, (), seed).texts)
    return len(log), len(own), len(chosen.intersection(own)) / len(own), min(1.0, MOST_FURTHER / len(log))


def spliced(texts: Sequence[str], lines: int, seed: int) -> Iterator[str]:
    """So many lines, each the first half of a random text and the second half of another."""
    rng = random.Random(seed)
    words = [text.split() for text in texts]
    for _ in range(lines):
        one, other = rng.choice(words), rng.choice(words)
        yield " ".join([*one[: (len(one) + 1) // 2], *other[len(other) // 2 :]])


def main() -> None:
    """Prints a row for each set, or what a log of so many lines takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--rows", default="200")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--lines", type=int)
    arguments = parser.parse_args()
    paths = [path for path in sorted(arguments.folder.glob("*/train.csv")) if single_label(path)]
    sets = {path.parent.name: read(path) for path in paths}
    names = arguments.sets or [*sets]
    if arguments.lines is None:
        print("| set | lines | of the set | among what is labelled | at random |\n|---|---:|---:|---:|---:|")
        for name in names:
            draws = [share_chosen(name, sets, arguments.rows, draw) for draw in range(arguments.draws)]
            lines, own, _, chance = draws[0]
            shares = ", ".join(f"{share:.1%}" for _, _, share, _ in draws)
            print(f"| {name} | {lines:,} | {own:,} | {shares} | {chance:.0%} |", flush=True)
        return
    every = [text for texts, _ in sets.values() for text in texts]
    labelled, _ = drawn(sets[names[0]], arguments.rows, 0)
    start = time.perf_counter()
    for _ in spliced(every, arguments.lines, 0):
        pass
    made = time.perf_counter() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    chosen = choose_further(spliced(every, arguments.lines, 0), labelled, (), 0)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{chosen.lines:,} lines: {len(chosen.texts):,} chosen in {seconds:.1f} s ({made:.1f} to make them)"
    )
    print(f"memory: {after / 1024:,.0f} MB at most, {before / 1024:,.0f} before")


if __name__ == "__main__":
    main()
