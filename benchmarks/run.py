"""Every tool side by side on the same texts, in one run.

    python -m benchmarks.run [--data-dir FOLDER] [--cache FOLDER] [--output FOLDER]

Makes the environments, trains the seed network and converts it where that was not done yet, starts every
contender as a process of its own, and writes latest.json, table.md and the pictures. Who cannot take part
is named with the reason.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import conditions, documents, entrants, lineup, measure, table
from benchmarks.answers import answers
from benchmarks.children import ROOT, Child, PeerError, process_environment
from benchmarks.entrants import Entrant, Skipped, Workplace
from benchmarks.environments import ensure
from benchmarks.pages import write_from
from benchmarks.peaks import SEED_WORK, Peaks, Work, work_of
from edge_lstm.modelfile import embedded_model, open_model

Json = dict[str, Any]
Lengths = NDArray[np.int32]
CHECKPOINT = ROOT / "examples" / "tiny.safetensors"
SCHEMA = 3
_PROMISE_PASSES = 5  # times the passes of the others: differences of a few per cent are looked for


@dataclass(frozen=True)
class Settings:
    """How much is measured. sample: texts that are timed; rounds: turns that the peers take in a pass."""

    output: Path
    only: tuple[str, ...] = ()
    sample: int = 600
    rounds: int = 20
    passes: int = 3
    cold_starts: int = 5
    accuracy_texts: int = 25_000
    answers_only: bool = False


def main() -> None:
    given = _options()
    cache = given.cache.absolute()
    texts = documents.prepare(given.data_dir, cache)
    weights = given.weights or entrants.trained_seed(cache, texts)
    place = Workplace(cache, texts, weights, given.checkpoint, given.threads, given.cpu)
    fields = ("output", "sample", "rounds", "passes", "cold_starts", "accuracy_texts", "answers_only")
    settings = Settings(only=tuple(given.only), **{name: getattr(given, name) for name in fields})
    own = lineup.own_files(given.model or [embedded_model()])
    report = benchmark(place, settings, (*own, *lineup.PEERS, *lineup.PROMISES), lineup.CONVERSIONS)
    if report is not None:
        print(table.markdown(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    standard = Settings(ROOT / "benchmarks" / "results")
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder with the IMDB archive (default: $EDGE_LSTM_DATA)")
    add("--cache", type=Path, default=Path.home() / ".cache" / "edge-lstm" / "benchmarks")
    add("--output", type=Path, default=standard.output)
    add("--model", type=Path, action="append", help="an edge-lstm model file; repeatable (default: embedded)")
    add("--checkpoint", type=Path, default=CHECKPOINT, help="what the cost of the promises is measured on")
    add("--weights", type=Path, help="seed network, .npz with PyTorch's names (default: trained, then kept)")
    add("--only", action="append", default=[], help="contenders whose name holds this; repeatable")
    add("--sample", type=int, default=standard.sample, help="texts that are timed (default: %(default)s)")
    add("--rounds", type=int, default=standard.rounds, help="turns of every peer (default: %(default)s)")
    add("--passes", type=int, default=standard.passes, help="times each text is timed (default: %(default)s)")
    add(
        "--cold-starts", type=int, default=standard.cold_starts, help="fresh processes (default: %(default)s)"
    )
    add(
        "--accuracy-texts", type=int, default=standard.accuracy_texts, help="of the test split (default: all)"
    )
    add("--answers-only", action="store_true", help="fill the cache of answers, measure no time")
    add("--threads", type=int, default=1)
    add("--cpu", type=int, help="pin every peer to this CPU")
    return parser.parse_args()


def benchmark(
    place: Workplace,
    settings: Settings,
    contenders: Sequence[lineup.Contender],
    conversions: Sequence[lineup.Conversion],
    ensure: entrants.Ensure = ensure,
) -> Json | None:
    """The whole run → the report, written into the output folder; None where only answers were asked for."""
    count = min(settings.sample, len(np.load(place.texts / "labels.npy", mmap_mode="r")))
    sample = documents.cut(place.texts, place.texts / f"sample-{count}", count)
    skipped = entrants.convert_all(conversions, place, ensure)
    found = list(entrants.find(contenders, settings.only, place, ensure))
    skipped += [one for one in found if isinstance(one, Skipped)]
    running = [one for one in found if isinstance(one, Entrant)]

    results: dict[str, Json] = {}
    running = _attempt(running, partial(_answers, sample, settings, results), skipped)
    if settings.answers_only:
        return None
    before, peaks = conditions.now(), _peaks()
    running = _attempt(running, partial(_cold_start, sample, settings, results), skipped)
    costs = _times(running, sample, settings, results)
    after, peaks = conditions.now(), peaks.better(_peaks())
    report = {
        "schema": SCHEMA,
        "conditions": {"before": before, "after": after, "threads": place.threads, "cpu": place.cpu},
        "settings": {"passes": settings.passes, "rounds": settings.rounds},
        "texts": documents.describe(sample),
        "peaks": asdict(peaks),
        "cost_of_promises": costs,
        "contenders": [results[entrant.contender.name] for entrant in running],
        "skipped": [asdict(one) for one in skipped],
    }
    settings.output.mkdir(parents=True, exist_ok=True)
    (settings.output / "latest.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write_from(report, settings.output)
    return report


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _attempt(running: Sequence[Entrant], step: Any, skipped: list[Skipped]) -> list[Entrant]:
    """The entrants for which the step went well; the others are skipped with what went wrong."""
    remaining = []
    for entrant in running:
        try:
            step(entrant)
        except PeerError as error:
            skipped.append(Skipped(entrant.contender.name, str(error)))
        else:
            remaining.append(entrant)
    return remaining


def _answers(sample: Path, settings: Settings, results: dict[str, Json], entrant: Entrant) -> None:
    """Starts a contender's result: what it is, its sizes and its answers."""
    contender = entrant.contender
    _say(f"answers: {contender.name}")
    results[contender.name] = {
        "name": contender.name,
        "group": contender.group,
        "model_bytes": entrant.model_bytes(),
        "installed_bytes": entrant.environment.installed_bytes(),
        "operators": entrant.operators(),
        **answers(entrant, sample, settings.accuracy_texts),
    }


def _cold_start(sample: Path, settings: Settings, results: dict[str, Json], entrant: Entrant) -> None:
    if entrant.contender.group == "promises":
        return
    _say(f"cold start: {entrant.contender.name}")
    rows = range(min(200, len(np.load(sample / "labels.npy", mmap_mode="r"))))
    results[entrant.contender.name] |= measure.cold_start(
        partial(entrant.start, sample), settings.cold_starts, rows
    )


def _times(running: Sequence[Entrant], sample: Path, settings: Settings, results: dict[str, Json]) -> Json:
    """Latency at batch 1 and throughput in batches, all peers in turn; then → the cost of the promises."""
    order = random.Random(7)
    with ExitStack() as stack:
        tools: dict[str, Child] = {}
        promises: dict[str, Child] = {}
        for entrant in running:
            name, group = entrant.contender.name, entrant.contender.group
            child = stack.enter_context(entrant.start(sample))
            (promises if group == "promises" else tools)[name] = child
            results[name] |= {key: child.loaded[key] for key in ("version", "facts")}
            results[name]["work"] = _work(group, child.loaded["facts"])
        lengths = np.load(sample / "lengths.npy")
        own_lengths = {entrant.contender.name: _own_lengths(entrant, sample, lengths) for entrant in running}
        rows = list(range(len(lengths)))
        if tools:
            _say(f"latency: {len(tools)} peers")
            turns = measure.cut(rows, 1, settings.rounds)
            timed = measure.interleaved(tools, turns, 1, settings.passes, order)
            _keep_latency(timed, next(iter(tools)), results)
            _keep_throughput(timed, rows, 1, own_lengths, results)
        # Batches of similar length: a gain for edge-lstm, no loss for tools that run over the padding.
        by_length = np.argsort(lengths, kind="stable").tolist()
        for size in lineup.BATCH_SIZES[1:]:
            if not tools or size > len(rows):
                continue
            _say(f"throughput: batches of {size}")
            turns = measure.cut(by_length, size, max(1, settings.rounds // 4))
            timed = measure.interleaved(tools, turns, size, settings.passes, order)
            _keep_throughput(timed, np.concatenate(turns).astype(int).tolist(), size, own_lengths, results)
        if not promises:
            return {}
        _say("latency: with and without the promises")
        turns = measure.cut(rows, 1, settings.rounds)
        timed = measure.interleaved(promises, turns, 1, settings.passes * _PROMISE_PASSES, order)
        _keep_latency(timed, next(iter(promises)), results)
        return _cost(timed)


def _keep_latency(timed: dict[str, measure.Nanoseconds], first: str, results: dict[str, Json]) -> None:
    for name, samples in timed.items():
        results[name]["latency"] = measure.latency(samples)
        results[name]["times_the_first"] = measure.ratio(samples, timed[first])


def _own_lengths(entrant: Entrant, sample: Path, lengths: Lengths) -> Lengths:
    """Tokens that a contender reads of each text: a file of edge-lstm may leave unknown words out."""
    if entrant.contender.group not in ("ours", "promises"):
        return lengths
    encode = open_model(entrant.model_files()[0]).tokenizer.encode_text
    with (sample / lineup.TOKENS).open(encoding="utf-8", newline="\n") as lines:
        return np.array([len(encode(line).ids) for line in lines], np.int32)


def _keep_throughput(
    timed: dict[str, measure.Nanoseconds],
    rows: list[int],
    size: int,
    own_lengths: dict[str, Lengths],
    results: dict[str, Json],
) -> None:
    for name, samples in timed.items():
        per_text_ms = float(measure.undisturbed_ms(samples).mean()) / size
        tokens = float(own_lengths[name][rows].mean())
        batches = results[name].setdefault("batches", {})
        batches[str(size)] = {"texts_per_second": 1e3 / per_text_ms, "mean_tokens": tokens}


def _cost(timed: dict[str, measure.Nanoseconds]) -> Json:
    """How many times as long the files with the promises take as those without, by what is held equal."""
    pairs = {
        "the same real units": (lineup.KEPT, lineup.DROPPED),
        "the same width, that of the units alone": (lineup.KEPT_NARROW, lineup.DROPPED),
        "the same width, two more": (lineup.KEPT, lineup.DROPPED_WIDE),
    }
    return {
        what: measure.ratio(timed[kept], timed[dropped])
        for what, (kept, dropped) in pairs.items()
        if kept in timed and dropped in timed
    }


def _work(group: lineup.Group, facts: Json) -> Json | None:
    """What a token costs the network that this contender runs; None for another kind of model."""
    works: dict[str, Work | None] = {"seed": SEED_WORK, "other": None}
    work = works[group] if group in works else work_of(facts["network"])
    return None if work is None else asdict(work)


def _peaks() -> Peaks:
    _say("peaks of this CPU")
    command = [sys.executable, "-m", "benchmarks.roofline"]
    environment = process_environment(threads=1, keep_python_path=True)
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    return Peaks(**json.loads(done.stdout))


if __name__ == "__main__":
    main()
