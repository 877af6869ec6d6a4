"""edge-lstm-export: the workstation side of edge-lstm (train, export, quantize).

Importing this package is cheap: torch and onnx are imported by the modules that use them.
"""

__version__ = "0.1.0"
