"""python -m edge_lstm_native MODEL < LINES: label, probability and status of each line."""

import sys

from edge_lstm_native import Model

LINES_AT_A_TIME = 1000


def printable(label: str) -> str:
    """The label with escapes for what would steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in label)


def answer(model: Model, lines: list[str]) -> None:
    """Print what the model says of some lines."""
    for label, probability, status in model.predict(lines):
        names = (label,) if isinstance(label, str) else label
        sys.stdout.write(f"{'|'.join(map(printable, names))}\t{probability:.6f}\t{status}\n")
    sys.stdout.flush()


def main() -> int:
    """Answer the lines of standard input."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("usage: python -m edge_lstm_native MODEL < LINES\n")
        return 2
    try:
        model = Model(sys.argv[1])
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"error: {printable(sys.argv[1])}: {reason}\n")
        return 1
    sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    sys.stdout.reconfigure(encoding="utf-8")
    lines: list[str] = []
    for line in sys.stdin:
        lines.append(line.removesuffix("\n").removesuffix("\r"))
        if len(lines) == (1 if sys.stdin.isatty() else LINES_AT_A_TIME):
            answer(model, lines)
            lines.clear()
    answer(model, lines)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.stderr.close()
        sys.exit(1)
