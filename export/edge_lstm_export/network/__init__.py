"""The network in PyTorch: layers, input, answers."""
