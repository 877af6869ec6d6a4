"""Benchmarks: edge-lstm and other tools side by side."""

import os

# As edge_lstm sets it, for the peers whose environment does not have edge_lstm.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
