"""The model file as bytes: constants, graph, metadata, texts and size.

No weight is learnt here.
"""
