"""The LSTM: its first weights, its training."""
