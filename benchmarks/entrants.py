"""Who can take part on this machine: environments made, the networks converted into every tool's file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import seed
from benchmarks.children import ROOT, Child, process_environment
from benchmarks.environments import Environment, EnvironmentUnavailableError, ensure
from benchmarks.lineup import Contender, Conversion

Ensure = Callable[[str, Path], Environment]


@dataclass(frozen=True)
class Skipped:
    """A contender or converter that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Workplace:
    """What all peers share: the cache, the texts in it, the sources of the files, how a process is started.

    texts: see documents.prepare. weights: of the seed network, .npz. checkpoint: of edge-lstm.
    """

    cache: Path
    texts: Path
    weights: Path
    checkpoint: Path
    threads: int = 1
    cpu: int | None = None

    @property
    def models(self) -> Path:
        """The folder of the converted files, named by the digest of the seed network's weights."""
        digest = hashlib.sha256(b"".join(array.tobytes() for array in seed.load(self.weights).values()))
        return self.cache / "models" / digest.hexdigest()[:12]

    def source(self, conversion: Conversion) -> Path:
        """What a converter starts from."""
        named = {"weights": self.weights, "checkpoint": self.checkpoint}
        return named.get(conversion.source, self.texts / conversion.source).absolute()


@dataclass(frozen=True)
class Entrant:
    """A contender that can take part: its environment and its files are there."""

    contender: Contender
    environment: Environment
    models: Path
    place: Workplace

    def start(self, texts: Path) -> Child:
        """A process of its own with the model and these texts loaded; raises PeerError."""
        return Child(
            self.contender,
            self.environment,
            self.models,
            texts,
            threads=self.place.threads,
            cpu=self.place.cpu,
            log=self.place.cache / "peers.log",
        )

    def model_files(self) -> list[Path]:
        """What has to be copied to the device."""
        return [self.models / name for name in (self.contender.model, *self.contender.files)]

    def model_bytes(self) -> int:
        """Size of the model's files on the device."""
        return sum(path.stat().st_size for path in self.model_files())

    def operators(self) -> dict[str, int] | None:
        """The LSTM operators in an ONNX file made from the seed: whether quantize_dynamic quantized it."""
        counted = self.models / "onnx-operators.json"
        counts: dict[str, dict[str, int]] = json.loads(counted.read_text()) if counted.exists() else {}
        return counts.get(self.contender.model)


def convert_all(
    conversions: Sequence[Conversion], place: Workplace, ensure: Ensure = ensure
) -> list[Skipped]:
    """Convert the networks into every tool's files unless that was done → the converters that failed."""
    models = place.models
    models.mkdir(parents=True, exist_ok=True)
    failed = []
    for conversion in conversions:
        name = conversion.module.rpartition(".")[2]
        done = models / f"{name}.done"
        source = hashlib.sha256(place.source(conversion).read_bytes()).hexdigest()
        if not (done.exists() and done.read_text() == source):
            print(f"converting: {name}", file=sys.stderr)
            try:
                _convert(conversion, models, place, models / f"{name}.log", ensure)
                done.write_text(source)
            except EnvironmentUnavailableError as error:
                failed.append(Skipped(f"conversion, {name}", str(error)))
            except subprocess.CalledProcessError as error:
                log = models / f"{name}.log"
                failed.append(Skipped(f"conversion, {name}", f"status {error.returncode}: {_last_line(log)}"))
    return failed


def find(
    contenders: Sequence[Contender], only: Sequence[str], place: Workplace, ensure: Ensure = ensure
) -> Iterator[Entrant | Skipped]:
    """The contenders that can take part; `only` keeps those whose name holds one of it."""
    for contender in contenders:
        if only and not any(part in contender.name for part in only):
            continue
        try:
            environment = ensure(contender.environment, place.cache)
        except EnvironmentUnavailableError as error:
            yield Skipped(contender.name, str(error))
            continue
        entrant = Entrant(contender, environment, place.models, place)
        missing = [path.name for path in entrant.model_files() if not path.exists()]
        if missing:
            yield Skipped(contender.name, f"there is no {missing[0]}: it could not be converted")
        else:
            yield entrant


def trained_seed(place_cache: Path, texts: Path, ensure: Ensure = ensure) -> Path:
    """The seed network's weights, trained on these texts' training split unless that was done before.

    Raises EnvironmentUnavailableError, or CalledProcessError where the training fails.
    """
    weights = place_cache / f"seed-{texts.name}.npz"
    if not weights.exists():
        print("training the seed network (minutes, once)", file=sys.stderr)
        conversion = Conversion("convert-pytorch", "benchmarks.convert.seed", "")
        _run(conversion, [str(texts), str(weights)], place_cache, weights.with_suffix(".log"), ensure)
    return weights


def _convert(conversion: Conversion, models: Path, place: Workplace, log: Path, ensure: Ensure) -> None:
    _run(
        conversion,
        [str(place.source(conversion)), str(models), *conversion.arguments],
        place.cache,
        log,
        ensure,
    )


def _run(conversion: Conversion, arguments: list[str], cache: Path, log: Path, ensure: Ensure) -> None:
    if conversion.environment is None:
        python, environment = sys.executable, dict(os.environ)
    else:
        python = str(ensure(conversion.environment, cache).python)
        environment = process_environment(threads=1)
    command = [python, "-m", conversion.module, *arguments]
    with log.open("wb") as output:
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=output, stderr=output)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
