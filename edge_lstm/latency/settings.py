"""What is measured: the settings (a model run in one way each), the texts, and for how long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.latency.choices import Choices
from edge_lstm.latency.statistics import MIN_BLOCKS, samples_needed

# The settings take turns on blocks of this many texts: long enough that a block's own noise is
# small, short enough that a change of the clock hits all settings alike.
BLOCK_TEXTS = 64
# Batches are made of texts of similar length, as Classifier makes them, out of at least this many.
BATCHES_IN_BLOCK = 4
MAX_BLOCK_TEXTS = 8192


@dataclass(frozen=True)
class Setting:
    """One model, run in one way.

    name: what results call it: what differs between the settings of a plan (t2: 2 threads, b16: 16 texts
        in a run, n100: texts of 100 tokens).
    length: tokens that every text is made to have; None for the texts as they are.
    """

    name: str
    model: Path
    threads: int
    batch_size: int
    provider: str
    length: int | None


@dataclass(frozen=True)
class Plan:
    """A whole measurement.

    runs: timed runs of the setting with the smallest batch (a run is one batch, text in, answer out);
        the others answer as many texts. Ignored with ``duration_s``, the time for all of them together.
    interval_s: pause before each run, as between the requests of a device that is mostly idle.
    pin: CPUs the process may use; empty for all.
    cold_starts: fresh processes a model is started in; 0 leaves cold start and memory out.
    warm_up_s, max_warm_up_blocks: bounds of the warm-up, which otherwise ends where times are steady.
    """

    settings: tuple[Setting, ...]
    runs: int = Choices.runs
    duration_s: float | None = None
    interval_s: float = 0.0
    pin: tuple[int, ...] = ()
    cold_starts: int = Choices.cold_starts
    seed: int = 0
    energy_s: float = 10.0
    warm_up_s: float = 0.5
    max_warm_up_blocks: int = 40

    @property
    def texts(self) -> int:
        """Texts each setting answers: as many as ``runs`` of the smallest batch take, and enough for a
        median of the largest and for the ratio of several settings.
        """
        sizes = [setting.batch_size for setting in self.settings]
        blocks = MIN_BLOCKS if len(sizes) > 1 else 1
        return max(self.runs * min(sizes), samples_needed(50) * max(sizes), blocks * self.block_texts)

    @property
    def block_texts(self) -> int:
        """Texts of a block: a multiple of every batch size, so that every batch is full."""
        sizes = [setting.batch_size for setting in self.settings]
        step = math.lcm(*sizes)
        wanted = BLOCK_TEXTS if max(sizes) == 1 else max(BLOCK_TEXTS, BATCHES_IN_BLOCK * max(sizes))
        size = step * math.ceil(wanted / step)
        if size > MAX_BLOCK_TEXTS:
            raise DataError(
                f"batch sizes {', '.join(map(str, sorted(set(sizes))))} have no small common multiple; "
                "choose sizes that divide each other, such as 1, 4, 16"
            )
        return size


def make_settings(
    models: Sequence[Path],
    *,
    threads: Sequence[int] = (1,),
    batch_sizes: Sequence[int] = (1,),
    lengths: Sequence[int | None] = (None,),
    providers: Sequence[str] = ("CPUExecutionProvider",),
) -> tuple[Setting, ...]:
    """Every combination, in the order given, named by what differs between them.

    Raises DataError where the same model file is given twice.
    """
    if len({model.resolve() for model in models}) < len(models):
        raise DataError("a model is given twice; name each model file once")
    names = _model_names(models)
    settings = []
    for length, model, provider, thread_count, batch_size in product(
        lengths, models, providers, threads, batch_sizes
    ):
        parts = [names[model]] if len(models) > 1 else []
        if len(providers) > 1:
            parts.append(provider.removesuffix("ExecutionProvider"))
        parts += [
            f"{letter}{value}"
            for letter, value, values in (
                ("t", thread_count, threads),
                ("b", batch_size, batch_sizes),
                ("n", length, lengths),
            )
            if len(values) > 1
        ]
        settings.append(
            Setting(" ".join(parts) or names[model], model, thread_count, batch_size, provider, length)
        )
    return tuple(settings)


def _model_names(models: Sequence[Path]) -> dict[Path, str]:
    """Short names that tell the models apart: the file's, with as many folders as that takes."""
    for depth in range(1, max(len(model.parts) for model in models) + 1):
        names = {model: "/".join(model.parts[-depth:]).removesuffix(".onnx") for model in models}
        if len(set(names.values())) == len(models):
            break
    return names
