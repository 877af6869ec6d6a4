"""The command: ``python -m edge_lstm`` and ``edge-lstm``.

Worker processes import the script that started the run. This one costs them nothing.
"""


def main() -> None:
    """Run the command. Signals are handled first, so that Ctrl-C works during the imports."""
    from edge_lstm.system.signals import exit_code, handle_signals, restore_signals

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
