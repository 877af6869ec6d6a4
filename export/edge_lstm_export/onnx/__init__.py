"""Checkpoint → ONNX model file: weights, graph, quantization, gates, export."""
