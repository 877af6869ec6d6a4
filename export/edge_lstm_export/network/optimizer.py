"""The optimizer of every network: AdamW, from a PyTorch that leaves no folder behind."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from typing import Any

import torch

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def adamw(parameters: Any, rate: float) -> torch.optim.AdamW:
    """Return the optimizer, fused, with PyTorch's weight decay.

    parameters: as AdamW takes them. rate: of learning.
    """
    if "torch._dynamo" not in sys.modules and _CACHE not in os.environ:
        _import_compiler()
    return torch.optim.AdamW(parameters, rate, fused=True)


def _import_compiler() -> None:
    """Import what the first optimizer imports: PyTorch's compiler.

    It makes a folder for its cache in TMPDIR, or at the path in a variable. Nothing is compiled
    here: a folder that exists will do.
    """
    os.environ[_CACHE] = tempfile.gettempdir()
    try:
        import_module("torch._dynamo")
    finally:
        del os.environ[_CACHE]
