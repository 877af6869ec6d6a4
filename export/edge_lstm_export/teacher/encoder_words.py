"""The words of an encoder, and the vectors that it reads first for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from edge_lstm.text import spaceless
from edge_lstm_export.pretrained import PretrainedWords
from edge_lstm_export.teacher.transformer import Transformer, word_table


def words_of(model: Transformer) -> PretrainedWords | None:
    """From the encoder's tokenizer and its table of pieces; None where it has none, as one that reads
    characters. Words are of letters alone, two or more, in scripts that put spaces between them."""
    tokenizer = model.tokenizer
    weight = word_table(model)
    if weight is None:
        return None
    table = weight.detach().float().cpu().numpy()
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(min(len(tokenizer), len(table))) if i not in special]
    said = [
        tokenizer.convert_tokens_to_string([token]).strip() for token in tokenizer.convert_ids_to_tokens(ids)
    ]
    words = [
        (i, word.lower())
        for i, word in zip(ids, said)
        if len(word) > 1 and word.isalpha() and not spaceless(word)
    ]
    read = partial(_pieces_of, tokenizer)
    found: dict[str, int] = {}
    for (i, word), pieces in zip(words, read([word for _, word in words])):
        if pieces == [i]:
            found.setdefault(word, i)
    return PretrainedWords(tuple(found), table, np.array(list(found.values()), np.int64), read)


def _pieces_of(tokenizer: Any, words: Sequence[str]) -> list[list[int]]:
    # After a space, since some vocabularies tell a word's beginning by it.
    if not words:
        return []
    read = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    return [[i for i in ids if i != tokenizer.unk_token_id] for ids in read]
