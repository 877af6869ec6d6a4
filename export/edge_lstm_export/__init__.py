"""The workstation side of edge-lstm: train, export, quantize.

Importing this package is cheap: torch and onnx are imported by the modules that use them.
"""

from edge_lstm._version import __version__

__all__ = ["__version__"]
