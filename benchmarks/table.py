"""The side-by-side run → its Markdown tables: the tools, throughput, who was left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.conditions import cpu_of

Json = dict[str, Any]
_MIB = 2**20
BUSY = """
**The machine was busy with other work**: a long call finds an undisturbed pass less often, so take p99, cold
start and exact ratios from an idle machine."""
NOTES = (
    """All tools but fastText and edge-lstm run the same weights of the seed network (Embedding 32, LSTM 100)
  over 600 steps, from padded ids; edge-lstm runs a text's own tokens. Text → ids is not timed, except in
  fastText, which has no such step.""",
    """“×” compares the mean over the texts, each text's time being the fastest of its passes, with a
  bootstrap 95 % interval over texts.""",
    """Cold start: process start to first answer, median of fresh processes. Installed: everything that the
  device needs besides Python.""",
)


def markdown(report: Json) -> str:
    """Return all tables with their notes."""
    tools = sorted(report["contenders"], key=lambda result: result["latency"]["p50_ms"])
    parts = ["# Other tools: every figure", _conditions(report)]
    if tools:
        parts += [_tools(tools), _notes(tools), _batches(tools)]
    if report["skipped"]:
        lines = [f"- {skip['name']}: {skip['reason']}" for skip in report["skipped"]]
        parts.append("## Left out\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Return a table; columns are numbers, except those of ``words``."""
    marks = ["---" if column in words else "---:" for column in range(len(heads))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows))


def percent(share: float) -> str:
    """Return a share of texts as a percentage of two decimals, never rounded up: 0.92676 → "92.67"."""
    # A share of whole texts may lie a hair below its decimal: 0.8888 · 10^4 is 8887.999….
    return f"{math.floor(share * 1e4 + 1e-6) / 100:.2f}"


def _conditions(report: Json) -> str:
    texts, before, after = report["texts"], report["conditions"]["before"], report["conditions"]["after"]
    threads = report["conditions"]["threads"]
    return (
        f"{texts['texts']} {texts['name']} of {texts['mean_tokens']:.0f} tokens on average (600 at most), "
        f"each timed {report['settings']['passes']} times; {threads} thread{'s' * (threads > 1)}; "
        f"{cpu_of(before)}; Python {before['python']}; {before['time'][:16].replace('T', ' ')} UTC; "
        f"load average {before['load_average']:.1f} before the run, {after['load_average']:.1f} after it."
    ) + (BUSY if before["busy"] else "")


def _tools(tools: Sequence[Json]) -> str:
    first = next((result["name"] for result in tools if result["times_the_first"]["ratio"] == 1), "the first")
    heads = (
        "tool", "accuracy", "model file", "installed", "cold start", "memory", "p50, batch 1",
        "p99, batch 1", f"time of {first} ×", "same answer in every batch",
    )  # fmt: skip
    return markdown_table(heads, map(_tool, tools), words=(0, len(heads) - 1))


def _tool(result: Json) -> list[str]:
    latency, accuracy, ratio = result["latency"], result["accuracy"], result["times_the_first"]
    return [
        result["name"],
        f"{percent(accuracy['accuracy'])} % ± {100 * accuracy['plus_minus']:.2f}",
        _size(result["model_bytes"]),
        _size(result["installed_bytes"]),
        f"{result['cold_start_ms']:.0f} ms",
        f"{result['peak_mib']:.0f} MiB",
        f"{latency['p50_ms']:.3f} ms",
        f"{latency['p99_ms']:.3f} ms" if latency["p99_ms"] is not None else "too few samples",
        f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})",
        _verdict(result["same_answer"]),
    ]


def _notes(tools: Sequence[Json]) -> str:
    most = max(result["accuracy"]["texts"] for result in tools)
    few = [result for result in tools if result["accuracy"]["texts"] < most]
    fewer = "".join(f"; {result['name']} over the first {result['accuracy']['texts']}" for result in few)
    lines = [f"Accuracy over {most} texts with its 95 % interval{fewer}.", *NOTES]
    parity = [result for result in tools if "parity" in result]
    broken = [result["name"] for result in parity if not result["parity"]["holds"]]
    if broken:
        lines.append(f"**Not the seed network's answers**: {', '.join(broken)}.")
    elif parity:
        worst = max(result["parity"]["largest_difference"] for result in parity)
        lines.append(f"The fp32 tools answer as PyTorch does, to {worst:.1g}.")
    versions = sorted({f"{r['name'].split(',')[0].split(' (')[0]} {r['version']}" for r in tools})
    return "\n".join(f"- {line}" for line in [*lines, f"Versions: {'; '.join(versions)}."])


def _batches(tools: Sequence[Json]) -> str:
    sizes = list(tools[0]["batches"])
    rows = ([r["name"], *(f"{r['batches'][s]['texts_per_second']:.0f}" for s in sizes)] for r in tools)
    head = ("texts per second in batches of", *sizes)
    note = "Texts of similar length share a batch. ncnn has no batches: they are a loop."
    return f"## Throughput\n\n{markdown_table(head, rows)}\n\n{note}"


def _verdict(same_answer: dict[str, Json]) -> str:
    if not same_answer:
        return "too few texts"
    if not any(compared["differ"] for compared in same_answer.values()):
        return "yes, bit for bit"
    largest = max(compared["largest_difference"] for compared in same_answer.values())
    worst = max(same_answer.values(), key=lambda compared: compared["labels_flipped"])
    return f"no: up to {largest:.1g} apart, {worst['labels_flipped']} of {worst['texts']} labels flip"


def _size(count: int) -> str:
    return f"{count / _MIB:.1f} MiB" if count >= _MIB else f"{count / 1000:.0f} kB"
