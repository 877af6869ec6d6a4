"""The short tables that ``export`` and ``quantize`` print."""

from __future__ import annotations

from pathlib import Path

from edge_lstm_export.exporting import Exported, Quantized


def print_export(exported: Exported, output: Path | None) -> None:
    """Size and parity of an fp32 file; ``output`` None where only an int8 file is written."""
    print(f"fp32    {len(exported.data):>9,} bytes   at most {exported.parity:.1e} from PyTorch")
    if output is not None:
        print(f"wrote {output}")


def print_quantized(result: Quantized, output: Path) -> None:
    """Size, agreement, accuracy and time per text, before and after."""
    rows = [("", "fp32", "int8", "")]
    rows.append(
        (
            "size",
            f"{result.bytes_before:,} B",
            f"{result.bytes_after:,} B",
            _ratio(result.bytes_before, result.bytes_after),
        )
    )
    rows.append(
        (
            "time per text",
            f"{result.micros_before:,.0f} µs",
            f"{result.micros_after:,.0f} µs",
            _ratio(result.micros_before, result.micros_after),
        )
    )
    if result.accuracy is not None:
        a = result.accuracy
        change = f"{(a.after - a.before) * 100:+.2f} points (95 %: {a.low * 100:+.2f} to {a.high * 100:+.2f})"
        rows.append(("accuracy", f"{a.before * 100:.2f} %", f"{a.after * 100:.2f} %", change))
    for name, before, after, note in rows:
        print(f"{name:<15}{before:>12}{after:>12}   {note}".rstrip())
    agree = result.agreement
    print(
        f"agreement      {agree.texts - agree.changed:,} of {agree.texts:,} texts have the same label; "
        f"|Δp| mean {agree.mean_difference:.4f}, max {agree.max_difference:.4f}"
    )
    print(
        f"same bits      {result.batch_comparisons:,} comparisons, alone and in shuffled batches: "
        "no difference"
    )
    if result.micros_after > result.micros_before:
        print(
            "note: int8 is slower than fp32 on this CPU; measure on the device, and keep fp32 "
            "if it is so there"
        )
    print(f"wrote {output}")


def _ratio(before: float, after: float) -> str:
    return f"{before / after:.1f} times less"
