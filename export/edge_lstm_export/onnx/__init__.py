"""Checkpoint → model file, through every gate."""
