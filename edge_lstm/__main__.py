"""``python -m edge_lstm`` and ``edge-lstm``.

Worker processes import the script that started the run: it costs them nothing here.
"""


def main() -> None:
    """Runs the command."""
    from edge_lstm.cli import main as command

    command()


if __name__ == "__main__":
    main()
