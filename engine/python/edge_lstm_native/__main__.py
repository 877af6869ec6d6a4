"""The command python -m edge_lstm_native MODEL < LINES: classify each line."""

import sys
from itertools import islice

from edge_lstm_native import Model

# Lines that are classified together, unless a person types them.
BATCH_LINES = 1000


def printable(label: str) -> str:
    """Return a label with escapes instead of characters that steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in label)


def main() -> int:
    """Print label, probability and status of each line of standard input; return the exit code."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("usage: python -m edge_lstm_native MODEL < LINES\n")
        return 2
    try:
        model = Model(sys.argv[1])
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.exit(f"error: {printable(sys.argv[1])}: {reason}")
    sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    sys.stdout.reconfigure(encoding="utf-8")
    at_a_time = 1 if sys.stdin.isatty() else BATCH_LINES
    while lines := list(islice(sys.stdin, at_a_time)):
        texts = [line.removesuffix("\n").removesuffix("\r") for line in lines]
        for label, probability, status in model.predict(texts):
            names = (label,) if isinstance(label, str) else label
            sys.stdout.write(f"{'|'.join(map(printable, names))}\t{probability:.6f}\t{status}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.stderr.close()
        sys.exit(1)
