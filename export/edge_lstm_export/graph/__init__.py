"""The model file as bytes: constants, graph, metadata, texts in it, and its size. No weight is
learnt here."""
