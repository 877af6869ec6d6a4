"""Do the suspects find wrong labels? Flips labels of IMDB's training split and looks who is caught.

    python -m benchmarks.label_noise --data-dir FOLDER [--texts 5000]

Two data sets: the reviews' two labels, and five labels from the stars in the archive's file names
(1, 2-3, 4-7, 8-9, 10; there are no 5 and 6). The archive is read in place.
"""

from __future__ import annotations

import argparse
import tarfile
import time
from pathlib import Path

import numpy as np
from edge_lstm_export.datasets import Split
from edge_lstm_export.label_issues import find_label_issues

STARS = {1: 0, 2: 1, 3: 1, 4: 2, 7: 2, 8: 3, 9: 3, 10: 4}


def rated_reviews(archive: Path) -> tuple[list[str], np.ndarray]:
    """The training split's texts and stars, int64 [n], in the order of their names."""
    found: list[tuple[str, str, int]] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            folder, _, name = member.name.removeprefix("aclImdb/train/").partition("/")
            file = tar.extractfile(member) if folder in ("neg", "pos") and name else None
            if file is not None:
                stars = int(Path(name).stem.partition("_")[2])
                found.append((member.name, file.read().decode(), stars))
    found.sort()
    return [text for _, text, _ in found], np.array([stars for _, _, stars in found])


def main() -> None:
    """Prints one line for each data set and share of flipped labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=5000)
    arguments = parser.parse_args()
    texts, stars = rated_reviews(arguments.data_dir / "aclImdb_v1.tar.gz")
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(texts))[: arguments.texts]
    texts, stars = [texts[i] for i in rows], stars[rows]
    labels = {2: (stars > 5).astype(np.int64), 5: np.array([STARS[star] for star in stars])}
    print("labels  texts  flipped  estimate  95 % interval   suspects  precision  recall  first 100  seconds")
    for count, truth in labels.items():
        for share in (0.0, 0.05, 0.2):
            flipped = rng.random(len(truth)) < share
            given = np.where(flipped, (truth + rng.integers(1, count, len(truth))) % count, truth)
            begin = time.perf_counter()
            found = find_label_issues(Split(tuple(texts), given), count, say=print)
            seconds = time.perf_counter() - begin
            caught = flipped[found.rows]
            interval = found.interval
            assert found.wrong is not None and interval is not None
            recall = f"{caught.sum() / flipped.sum():.1%}" if flipped.any() else "–"
            print(
                f"{count:>6} {len(truth):>6} {flipped.mean():>8.1%} {found.wrong:>9.1%}  "
                f"{interval.low:>5.1%} to {interval.high:>5.1%} {len(caught):>10} {caught.mean():>10.1%} "
                f"{recall:>7} {caught[:100].mean():>10.0%} {seconds:>8.1f}"
            )


if __name__ == "__main__":
    main()
