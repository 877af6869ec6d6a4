"""Names for types of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Names = tuple[str, ...]  # the labels
Array = npt.NDArray[Any]
Matrix = Any  # scipy.sparse.csr_matrix, float32
