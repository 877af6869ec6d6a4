"""Of a long log, the texts that are of the labelled ones' kind: few of its lines may be.

How near two texts are is the cosine of their words and word pairs (characters and pairs of these where
words have no spaces between them), the rarer the heavier. What is near enough, the labelled texts say
themselves: as near to one of them as nine in ten of them are to another one. Among those, a random part is
as diverse as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from edge_lstm.text import spaceless, split_marks

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

FAR_SHARE = 0.1  # of the labelled texts, that are further from the others than what counts as near
MOST_COMPARED = 1_000  # labelled texts that others are compared with, a random part
MOST_READ = 100  # words of a text, or characters
_COLUMNS, _CHUNK = 1 << 18, 2_000


def near_first(texts: Sequence[str], labelled: Sequence[str], seed: int) -> tuple[Ints, int]:
    """(the numbers of the texts: first those that are near the labelled ones, in their order, then the
    others, the nearest first; how many are near)."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    labelled = [*dict.fromkeys(labelled)]  # a copy is near whatever else is not
    if len(labelled) > MOST_COMPARED:
        chosen = np.random.default_rng([seed, 0x6E]).permutation(len(labelled))[:MOST_COMPARED]
        labelled = [labelled[i] for i in np.sort(chosen)]
    vectorizer = HashingVectorizer(
        analyzer=_read, n_features=_COLUMNS, alternate_sign=False, norm=None, binary=True, dtype=np.float32
    )
    every = TfidfTransformer().fit_transform(vectorizer.transform([*texts, *labelled]))
    own, others = every[len(texts) :], every[: len(texts)]
    among = (own @ own.T).tolil()
    among.setdiag(0)
    enough = np.quantile(_largest(among.tocsr()), FAR_SHARE)
    parts = [_largest(others[i : i + _CHUNK] @ own.T) for i in range(0, len(texts), _CHUNK)]
    nearness = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    near = nearness >= enough
    rest = np.flatnonzero(~near)
    further = rest[np.argsort(-nearness[rest], kind="stable")]
    return np.concatenate([np.flatnonzero(near), further]), int(near.sum())


def _largest(matrix: object) -> Floats:
    """Of each row of a sparse matrix."""
    return np.asarray(matrix.max(axis=1).todense(), np.float32).ravel()  # type: ignore[attr-defined]


def _read(text: str) -> list[str]:
    units = list(text[:MOST_READ]) if spaceless(text) else split_marks(text)[:MOST_READ]
    return [*units, *(f"{left} {right}" for left, right in pairwise(units))]
