"""The table of English words that the export package holds, from an encoder (see pretrained.py there).

    python tools/word_vectors.py ENCODER

ENCODER: a folder, or a name on the hub. The words are those that its tokenizer reads as one piece, in the
order of its vocabulary. A word's vector is made of two: what the encoder reads for it first, and what it adds
to the encoder's vectors of sentences, by a ridge regression of those on the sentences' words (as model2vec's
tokenlearn learns static vectors). The sentences are of IMDB's unlabelled reviews: no label is read. Of both
the first principal components, three bits a value. It takes ten minutes on one core.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

import numpy as np
from edge_lstm_export.datasets import DataOptions
from edge_lstm_export.distillation import unlabelled_texts
from edge_lstm_export.pretrained import ENGLISH, PretrainedWords, packed
from edge_lstm_export.spans import sentences
from edge_lstm_export.teacher.encoder_words import words_of
from edge_lstm_export.teacher.hub import load_encoder
from edge_lstm_export.teacher.labels import Floats
from edge_lstm_export.teacher.transformer import TransformerOptions, vectors_of
from safetensors.numpy import save_file
from scipy import sparse
from sklearn.linear_model import Ridge

WIDTH = 96
SENTENCES, A_REVIEW = 60_000, 2  # at most, drawn at random
SHORTEST, LONGEST = 4, 24  # of a sentence, in words
# A word of so many sentences says half of what a frequent one does.
HALF_SURE = 10.0
OFTEN = 10  # sentences: such words give the vectors their size


def drawn_sentences() -> list[str]:
    """Of IMDB's unlabelled reviews."""
    rng = np.random.default_rng(0)
    found: list[str] = []
    for text in unlabelled_texts("imdb", DataOptions()):
        own = [one for one in sentences(text) if SHORTEST <= len(one.split()) <= LONGEST]
        found += [own[i] for i in rng.permutation(len(own))[:A_REVIEW]]
    return [found[i] for i in np.sort(rng.permutation(len(found))[:SENTENCES])]


def components(values: Floats, width: int) -> Floats:
    """The first principal components: float32 [n, width]."""
    centred = values - values.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, ::-1][:, :width], np.float32)


def learnt(texts: Sequence[str], vectors: Floats, known: PretrainedWords) -> Floats:
    """What each word adds to the vectors of texts: float32 [words, WIDTH], longer the surer it is."""
    place = {word: i for i, word in enumerate(known.words)}
    weights = known.weights(known.words)
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        own = [place[word] for word in re.findall("[a-z]+", text.lower()) if word in place]
        rows += [row] * len(own)
        columns += own
        values += [weights[i] / len(own) ** 0.5 for i in own]
    held = sparse.csr_matrix(
        (np.array(values, np.float32), (rows, columns)), (len(texts), len(known.words)), np.float32
    )
    found = Ridge(alpha=1.0, solver="sparse_cg", max_iter=60).fit(held, components(vectors, WIDTH)).coef_.T
    texts_of = np.bincount(held.indices, minlength=len(known.words))
    size = np.sqrt((found[texts_of >= OFTEN] ** 2).sum(axis=1).mean())
    return np.asarray(found / size * (texts_of / (texts_of + HALF_SURE))[:, None], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("encoder")
    parser.add_argument("--licence", default="Apache-2.0", help="of the encoder")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.encoder, 2)
    every = words_of(encoder)
    if every is None:
        raise SystemExit(f"{arguments.encoder} has no table of words")
    latin = [i for i, word in enumerate(every.words) if word.isascii()]
    words = tuple(every.words[i] for i in latin)
    known = PretrainedWords(words, every.table, every.pieces[latin], every.read)
    texts = drawn_sentences()
    print(f"{len(texts):,} sentences")
    first = known.table[known.pieces]
    first = first - first.mean(axis=0)
    first = first / np.sqrt((first**2).sum(axis=1).mean())
    second = learnt(texts, vectors_of(encoder, texts, TransformerOptions()), known)
    codes, scales = packed(components(np.concatenate([first, second], axis=1), WIDTH))
    lines = np.frombuffer("\n".join(words).encode(), np.uint8)
    save_file(
        {"codes": codes, "scales": scales, "words": lines},
        ENGLISH,
        {"source": arguments.encoder.rstrip("/").split("/")[-1], "licence": arguments.licence},
    )
    print(f"{ENGLISH}: {len(words):,} words, {ENGLISH.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
