"""engine/reference.py, the specification that runs, for a text rule alone."""

from __future__ import annotations

import sys
from pathlib import Path

from edge_lstm.core.text import Tokenizer

sys.path.append(str(Path(__file__).parents[1] / "engine"))  # it is in no package
import reference


def specification(tokenizer: Tokenizer) -> reference.Model:
    """The reference's model with the tokenizer, and no network."""
    rule = tokenizer.to_metadata()
    first_piece = tokenizer.rule.first_word_id + len(tokenizer.words)
    words = {word: i for i, word in enumerate(tokenizer.words, tokenizer.rule.first_word_id)}
    pieces = {piece: i for i, piece in enumerate(tokenizer.pieces, first_piece)}
    return reference.Model(words, pieces, rule, [], {}, {})
