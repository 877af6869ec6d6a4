"""Readers of labelled texts, one module a kind of source; ``read`` chooses among them."""
