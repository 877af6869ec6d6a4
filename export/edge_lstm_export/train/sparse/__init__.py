"""The n-gram part, and linear models."""
