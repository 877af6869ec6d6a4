"""Benchmarks: what the published figures are measured with."""

import os

# As edge_lstm sets it, for tools whose environment does not have edge_lstm.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
