"""``python -m edge_lstm``: the same as ``edge-lstm``."""

from edge_lstm.cli import main

main()
