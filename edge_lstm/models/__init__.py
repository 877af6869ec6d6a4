"""The embedded model and the example reviews: data, no code."""
