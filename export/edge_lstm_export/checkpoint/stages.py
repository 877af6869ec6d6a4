"""The finished stages of a training, kept in a file so that a killed one goes on.

Only what takes long is kept: the teachers' predictions, each fold of the cross-validation, and the
state of the training loop. The rest is made again, and the seed decides that it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edge_lstm.checked import check_same
from edge_lstm.errors import DataError
from edge_lstm_export.arrays import Floats
from edge_lstm_export.checkpoint.sealed import read_sealed, write_sealed

# names of stages; each fold of a cross-validation has another
TEACHERS = "teachers"
LOOP = "loop"


@dataclass(frozen=True)
class Stage:
    """What a stage has come to.

    plain: JSON values.
    tensors: of any type and shape, by name.
    """

    plain: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, arrays: Mapping[str, Floats], **plain: Any) -> Stage:
        """Make a stage of NumPy arrays."""
        return cls(plain, {name: torch.from_numpy(array) for name, array in arrays.items()})

    @property
    def arrays(self) -> dict[str, Floats]:
        """The tensors as NumPy arrays."""
        return {name: tensor.numpy() for name, tensor in self.tensors.items()}


class Stages:
    """The finished stages of one training, by name.

    path: the file that they are kept in; None: they are not kept.
    identity: what a resumed training must have in common with its beginning, by names that a person
        knows; plain values, as they come back from JSON.
    """

    def __init__(
        self,
        path: Path | None = None,
        identity: Mapping[str, Any] | None = None,
        done: Mapping[str, Stage] | None = None,
    ) -> None:
        self.path = path
        self.identity = identity
        self._done = dict(done or {})

    def get(self, name: str) -> Stage | None:
        """Return what was kept of a stage; None if it is still to be done."""
        return self._done.get(name)

    def keep(self, name: str, stage: Stage) -> None:
        """Keep a stage; it replaces an earlier one of its name.

        Raise OutputError.
        """
        if self.path is None:
            return
        self._done[name] = stage
        tensors = {
            f"{stage}/{key}": value
            for stage, each in self._done.items()
            for key, value in each.tensors.items()
        }
        plain = {stage: each.plain for stage, each in self._done.items()}
        write_sealed(tensors, {"identity": self.identity, "stages": plain}, self.path)

    def check(self, identity: Mapping[str, Any]) -> None:
        """Take the stages as the stages of a training of this identity.

        Raise DataError if another training began them.
        """
        check_same(identity if self.identity is None else self.identity, identity, self.path)
        self.identity = identity


NOT_KEPT = Stages()


def load_stages(path: Path) -> Stages:
    """Read the stages of an unfinished training.

    Raise DataError if the file is damaged or another one.
    """
    description, tensors = read_sealed(path, f"delete {path} and start again")
    identity = description.get("identity")
    stages = description.get("stages")
    if not isinstance(identity, dict) or not isinstance(stages, dict):
        raise DataError(f"{path} holds no unfinished training; delete the file, or give another -o")
    done = {name: Stage(plain, {}) for name, plain in stages.items()}
    for key, value in tensors.items():
        stage, _, name = key.partition("/")
        if stage in done:
            done[stage].tensors[name] = value
    return Stages(path, identity, done)
