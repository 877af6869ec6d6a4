"""A model file answers a text. Nothing here knows a room or a table."""
