"""Windows of texts that are longer than a model reads.

A window is one of several pieces of about equal size, each classified by itself. The logits of a
text are the mean of its windows' logits, each with the weight of its bytes. No engine takes part in
this: a window is a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Classify: TypeAlias = Callable[[list[str]], tuple[npt.NDArray[np.float32], Sequence[bool]]]

# Most bytes of a window at first. One that is still longer than the model reads is cut again.
MOST_BYTES = 2500
# A probability that a float32 has no room for counts as this one.
_LEAST_PROBABILITY = 1e-30


def cut(text: bytes, most: int = MOST_BYTES) -> list[bytes]:
    """Return the windows of a text in UTF-8: as many as it takes, of about equal size.

    Each ends before a space. If none follows, it ends between two characters.

    most: bytes, which a window may exceed by a word.
    """
    count = -(-len(text) // most)
    windows: list[bytes] = []
    start = 0
    for left in range(count, 0, -1):
        end = start + -(-(len(text) - start) // left)
        end = _end_of_word(text, end, end + most)
        if end > start:
            windows.append(text[start:end])
        start = end
    return windows


def _end_of_word(text: bytes, place: int, last: int) -> int:
    """Return the place of the next space, or else of the next character."""
    space = text.find(b" ", place, last)
    if space >= 0:
        return space
    while place < len(text) and text[place] & 0xC0 == 0x80:
        place += 1
    return min(place, len(text))


def combine(
    probabilities: npt.NDArray[np.float32],
    sizes: Sequence[int],
    owners: Sequence[int],
    *,
    is_multi_label: bool,
) -> npt.NDArray[np.float32]:
    """Return the probabilities of n texts, float32 [n, labels], by the ones of their windows.

    probabilities: float32 [windows, labels].
    sizes: the bytes of each window.
    owners: the index of the text of each window; a text has at least one.
    is_multi_label: whether each label has a probability of its own.
    """
    # A logit, up to what all labels of a text have in common.
    logits = np.log(np.maximum(probabilities.astype(np.float64), _LEAST_PROBABILITY))
    if is_multi_label:
        logits -= np.log(np.maximum(1 - probabilities.astype(np.float64), _LEAST_PROBABILITY))
    weights = np.bincount(owners, sizes)[:, None]
    means = np.zeros((len(weights), logits.shape[1]))
    np.add.at(means, owners, logits * np.array(sizes)[:, None])
    means /= weights
    if is_multi_label:
        return np.asarray(1 / (1 + np.exp(-means)), np.float32)
    shares = np.exp(means - means.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def classify_in_windows(
    texts: Sequence[bytes], classify: Classify, *, is_multi_label: bool
) -> npt.NDArray[np.float32]:
    """Classify n texts that are longer than the model reads; return float32 [n, labels].

    texts: in UTF-8.
    classify: strings → their probabilities, float32 [m, labels], and whether each is longer than
        the model reads.
    """
    most = MOST_BYTES
    waiting = [(i, window) for i, text in enumerate(texts) for window in cut(text, most)]
    owners: list[int] = []
    sizes: list[int] = []
    answers: list[npt.NDArray[np.float32]] = []
    while waiting:
        found, are_long = classify([window.decode() for _, window in waiting])
        most = max(1, most // 2)
        again: list[tuple[int, bytes]] = []
        for (owner, window), answer, is_long in zip(waiting, found, are_long):
            if is_long and len(window) > 1:
                again += [(owner, part) for part in cut(window, most)]
            else:
                owners.append(owner)
                sizes.append(len(window))
                answers.append(answer)
        waiting = again
    return combine(np.stack(answers), sizes, owners, is_multi_label=is_multi_label)
