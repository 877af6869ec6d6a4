"""``python -m edge_lstm`` and ``edge-lstm``.

Worker processes import the script that started the run: it costs them nothing here.
"""


def main() -> None:
    """Runs the command. Signals come first: Ctrl-C is heard from the first import on."""
    from edge_lstm.signals import exit_code, handle_signals, restore_signals

    handle_signals()
    try:
        from edge_lstm.cli import main as command

        command()
    except KeyboardInterrupt as interrupt:
        raise SystemExit(exit_code(interrupt)) from None
    finally:
        restore_signals()


if __name__ == "__main__":
    main()
