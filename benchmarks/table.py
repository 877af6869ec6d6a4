"""Results → the Markdown tables: the tools, throughput, the promises, the bars, who was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.bars import all_bars, distance, interval, percent, percent_more
from benchmarks.conditions import cpu_of
from benchmarks.peaks import SEED_WORK, Peaks

Json = dict[str, Any]
_MIB = 2**20


def markdown(report: Json) -> str:
    """All tables with their notes."""
    tools = [result for result in report["contenders"] if result["group"] != "promises"]
    tools.sort(key=lambda result: result["latency"]["p50_ms"])
    parts = [_conditions(report)]
    if tools:
        parts += [_tools(tools, report), _notes(tools, report), _batches(tools, report)]
    parts += [_promises(report), _bars(report), _left_out(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(report: Json) -> str:
    texts, before, after = report["texts"], report["conditions"]["before"], report["conditions"]["after"]
    passes, threads = report["settings"]["passes"], report["conditions"]["threads"]
    said = (
        f"{texts['texts']} {texts['name']} of {texts['mean_tokens']:.0f} tokens on average (600 at most), "
        f"each timed {passes} times; {threads} thread{'' if threads == 1 else 's'}; "
        f"{cpu_of(before)}; Python {before['python']}; "
        f"{before['time'][:16].replace('T', ' ')} UTC; load average {before['load_average']:.1f} before the "
        f"run, {after['load_average']:.1f} after it (the run itself keeps one CPU busy)."
    )
    if before["busy"]:
        said += (
            " **The machine was busy with other work.** All contenders took turns of a fraction of a "
            "second, and the fastest pass counts; still, a long call finds an undisturbed pass less often. "
            "Take p99, cold start and exact ratios from an idle machine."
        )
    return said


def _tools(tools: Sequence[Json], report: Json) -> str:
    peaks = Peaks(**report["peaks"])
    first = report["contenders"][0]["name"]
    head = (
        "tool", "accuracy", "model file", "installed", "cold start", "memory", "p50, batch 1",
        "p99, batch 1", f"time of {first} ×", "roofline ×", "same answer in every batch",
    )  # fmt: skip
    return _table(head, [_tool(result, peaks) for result in tools], text=(len(head) - 1,))


def _tool(result: Json, peaks: Peaks) -> list[str]:
    latency, accuracy = result["latency"], result["accuracy"]
    p99, plus_minus = latency["p99_ms"], 100 * accuracy["plus_minus"]
    return [
        result["name"],
        f"{percent(accuracy['accuracy'])} % ± {plus_minus:.2f}",
        _size(result["model_bytes"]),
        _size(result["installed_bytes"]),
        f"{result['cold_start_ms']:.0f} ms",
        f"{result['peak_mib']:.0f} MiB",
        f"{latency['p50_ms']:.3f} ms",
        f"{p99:.3f} ms" if p99 is not None else "too few samples",
        interval(result["times_the_first"]),
        f"{distance(result, peaks, 1):.1f}" if result["work"] else "–",
        _verdict(result["same_answer"]),
    ]


def _notes(tools: Sequence[Json], report: Json) -> str:
    peaks, tokens = Peaks(**report["peaks"]), report["texts"]["mean_tokens"]
    bound = peaks.ns_per_token(SEED_WORK, 1) * tokens / 1e3
    most = max(result["accuracy"]["texts"] for result in tools)
    few = [result for result in tools if result["accuracy"]["texts"] < most]
    lines = [
        f"Accuracy over {most} texts with its 95 % interval"
        + "".join(f"; {result['name']} over the first {result['accuracy']['texts']}" for result in few)
        + "."
    ]
    lines.append(
        "All tools but fastText and edge-lstm run the same weights of the seed network (Embedding 32, "
        "LSTM 100) over 600 steps, from padded ids; edge-lstm runs a text's own tokens. Text → ids is not "
        "timed, except in fastText, which has no such step."
    )
    for result in tools:
        if result["group"] == "ours":
            read = result["batches"]["1"]["mean_tokens"]
            lines.append(f"{result['name']} reads {read:.0f} tokens of a text on average, of {tokens:.0f}.")
    lines.append(
        "“×” compares the mean over the texts, each text's time being the fastest of its passes, with a "
        "bootstrap 95 % interval over texts."
    )
    lines.append(
        f"Roofline: one thread of this CPU was seen to do {peaks.int8_multiply_adds / 1e9:.0f} G int8 "
        f"multiply-adds/s and to read {peaks.cache_bandwidth / 1e9:.0f} GB/s from its second-level cache: "
        f"at best {bound:.0f} µs for the seed network over the average text's own tokens. Every tool is "
        "compared with the bound of the network that it runs."
    )
    lines.append(
        "Cold start: process start to first answer, median of fresh processes. Installed: everything that "
        "the device needs besides Python."
    )
    parity = [result for result in tools if "parity" in result]
    if parity:
        worst = max(result["parity"]["largest_difference"] for result in parity)
        broken = [result["name"] for result in parity if not result["parity"]["holds"]]
        lines.append(
            f"The fp32 tools answer as the seed network computed in double precision, to {worst:.1g}."
            if not broken
            else f"**Not the seed network's answers**: {', '.join(broken)}."
        )
    for result in tools:
        if result.get("operators") and "quantize_dynamic" in result["name"]:
            kind = "int8" if result["operators"]["DynamicQuantizeLSTM"] else "still fp32"
            lines.append(f"{result['name']}: the LSTM in this file is {kind}.")
    fast = [result for result in tools if result["group"] == "other"]
    slowest = max((result["latency"]["p50_ms"] for result in fast), default=None)
    lstms = [result["latency"]["p50_ms"] for result in tools if result["group"] != "other"]
    if slowest is not None and lstms:
        lines.append(
            "fastText is a bag of words and word pairs, not a sequence model: "
            f"{min(lstms) / slowest:.1f} times as fast as the fastest LSTM here, with the larger file. "
            "Where it is accurate enough, use it."
        )
    versions = sorted({f"{r['name'].split(',')[0].split(' (')[0]} {r['version']}" for r in tools})
    return "\n".join(f"- {line}" for line in [*lines, "Versions: " + "; ".join(versions) + "."])


def _batches(tools: Sequence[Json], report: Json) -> str:
    peaks = Peaks(**report["peaks"])
    sizes = list(tools[0]["batches"])
    head = ("texts a second in batches of", *sizes, *(f"roofline ×, {size}" for size in sizes))
    rows = []
    for result in tools:
        speeds = [f"{result['batches'][size]['texts_per_second']:.0f}" for size in sizes]
        times = [f"{distance(result, peaks, int(size)):.1f}" if result["work"] else "–" for size in sizes]
        rows.append([result["name"], *speeds, *times])
    if any(result["name"].startswith("ncnn") for result in tools):
        note = "\n\nTexts of similar length share a batch. ncnn has no batches: they are a loop."
    else:
        note = "\n\nTexts of similar length share a batch."
    return "## Throughput\n\n" + _table(head, rows) + note


def _promises(report: Json) -> str:
    rows = []
    costs = "\n".join(f"- at {w}: {percent_more(cost)}" for w, cost in report["cost_of_promises"].items())
    for result in report["contenders"]:
        if result["group"] == "promises":
            latency = result["latency"]
            trained = "two units" not in result["name"]
            rows.append(
                [
                    result["name"],
                    f"{percent(result['accuracy']['accuracy'])} %" if trained else "untrained",
                    f"{latency['p50_ms'] * 1e3:.0f} µs",
                    f"{latency['mean_ms'] * 1e3:.0f} µs",
                    _verdict(result["same_answer"]) if trained else "–",
                ]
            )
    if not rows:
        return ""
    head = ("one int8 network", "accuracy", "p50, batch 1", "mean", "same answer in every batch")
    lead = "## What the promises cost\n\n"
    tail = f"\n\nTime with the promises against without, with its 95 % interval:\n\n{costs}" if costs else ""
    return lead + _table(head, rows, text=(4,)) + tail


def _bars(report: Json) -> str:
    bars = all_bars(report)
    if not bars:
        return ""
    rows = [[bar.asked, bar.measured, "yes" if bar.holds else "**no**"] for bar in bars]
    return "## Bars\n\n" + _table(("asked", "measured", "reached"), rows, text=(1, 2))


def _left_out(report: Json) -> str:
    lines = [f"- {skip['name']}: {skip['reason']}" for skip in report["skipped"]]
    return "## Left out\n\n" + "\n".join(lines) if lines else ""


def _verdict(same_answer: dict[str, Json]) -> str:
    if not same_answer:
        return "too few texts"
    worst = max(
        same_answer.values(), key=lambda found: (found["labels_flipped"], found["largest_difference"])
    )
    if not any(found["differ"] for found in same_answer.values()):
        return "yes, bit for bit"
    largest = max(found["largest_difference"] for found in same_answer.values())
    flips = worst["labels_flipped"]
    return f"no: up to {largest:.1g} apart, {flips} of {worst['texts']} labels flip"


def _size(count: int) -> str:
    return f"{count / _MIB:.1f} MiB" if count >= _MIB else f"{count / 1000:.0f} kB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = ()) -> str:
    """Columns are numbers, except the first and those of `text`."""
    words = {0, *text}
    marks = ["---" if column in words else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))
