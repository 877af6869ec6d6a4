"""A page that needs no other file, and its charts."""
