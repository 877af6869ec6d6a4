"""AdamW (Loshchilov & Hutter, 2019), as ``torch.optim.AdamW`` has it: the same bits on a CPU, moments by the
same names. PyTorch's own imports its compiler at the first step, a second of each training."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8


class AdamW:
    """param_groups: each has ``params``, ``weight_decay``, ``lr`` and ``betas``, which may be changed between
    steps; state: of each parameter its ``step``, ``exp_avg`` and ``exp_avg_sq``.

    fused: one pass over each tensor in the place of ten, where this PyTorch can: an eighth of the time for
    large ones, other bits.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], lr: float, *, fused: bool = False) -> None:
        self.param_groups: list[dict[str, Any]] = [
            {"lr": lr, "betas": BETAS, "weight_decay": 0.01, **group} for group in groups
        ]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        self.fused = fused and _has_fused()

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            rate, (first, second), decay = group["lr"], group["betas"], group["weight_decay"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state.setdefault(parameter, {})
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(parameter) for _ in range(2))
                mean, square = state["exp_avg"], state["exp_avg_sq"]
                if self.fused:
                    _fused_step(parameter, gradient, state, rate, first, second, decay)
                    continue
                state["step"] += 1
                step = float(state["step"])
                if decay:
                    parameter.mul_(1 - rate * decay)
                mean.lerp_(gradient, 1 - first)
                square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
                size = (square.sqrt() / (1 - second**step) ** 0.5).add_(EPSILON)
                parameter.addcdiv_(mean, size, value=-rate / (1 - first**step))


def _fused_step(
    parameter: Tensor,
    gradient: Tensor,
    state: Mapping[str, Tensor],
    rate: float,
    first: float,
    second: float,
    decay: float,
) -> None:
    state["step"].add_(1)
    torch._fused_adamw_(
        [parameter],
        [gradient],
        [state["exp_avg"]],
        [state["exp_avg_sq"]],
        [],
        [state["step"]],
        lr=rate,
        beta1=first,
        beta2=second,
        weight_decay=decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


@functools.cache
def _has_fused() -> bool:
    """Whether PyTorch has the operator for this CPU (2.4 and later), as it is called here."""
    one = [torch.zeros(1) for _ in range(4)]
    try:
        _fused_step(one[0], one[1], dict(zip(("step", "exp_avg", "exp_avg_sq"), one[1:])), 0.1, 0.9, 0.9, 0.0)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return True


def one_cycle(step: int, steps: int, rate: float, warm: float = 0.1) -> tuple[float, float]:
    """(learning rate, first beta) of a step, from 0, of so many: up over the share ``warm`` of the steps,
    then down to nothing, along cosines; the momentum goes the other way (Smith & Topin, 2018; the numbers are
    those of PyTorch's OneCycleLR)."""
    top, last = warm * steps - 1, steps - 1
    begin, end = rate / 25, rate / 25 / 1e4
    if step <= top and top:
        return _cosine(begin, rate, step / top), _cosine(0.95, 0.85, step / top)
    share = (step - top) / (last - top)
    return _cosine(rate, end, share), _cosine(0.85, 0.95, share)


def set_rate(optimizer: AdamW, rate: float, momentum: float) -> None:
    """For the next steps, of all parameters."""
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = rate, (momentum, BETAS[1])


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) / 2.0 * (math.cos(math.pi * share) + 1)
