"""The table of English words that the export package holds, from an encoder (see
train/data/pretrained.py there).

    python tools/word_vectors.py ENCODER

ENCODER: a folder, or a name on the hub. The words are those that its tokenizer reads as one piece,
in the order of its vocabulary. A word's vector is made of two: what the encoder reads for it first,
and what it adds to the encoder's vectors of sentences, by a ridge regression of those on the
sentences' words (as model2vec's tokenlearn learns static vectors). The sentences are of IMDB's
unlabelled reviews: no label is read. Of both the first principal components, three bits a value. It
takes ten minutes on one core.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.data.pretrained import BITS, ENGLISH, PretrainedWords
from edge_lstm_export.train.sources.read import read_texts
from edge_lstm_export.train.teachers.encoder import EncoderReader, encoder_words
from safetensors.numpy import save_file
from scipy import sparse
from sklearn.linear_model import Ridge

from edge_lstm.core.text import FIRST_WORD_ID

Floats = npt.NDArray[np.float32]
WIDTH = 96
# at most, drawn at random
SENTENCES = 60_000
PER_REVIEW = 2
# of a sentence, in words
SHORTEST = 4
LONGEST = 24
HALF_SURE = 10.0  # a word of so many sentences says half of what a frequent one does
REACH = 2.0  # standard deviations: the largest of a value's levels
OFTEN = 10  # sentences: such words give the vectors their size


def packed(values: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    """values: float32 [words, width] → codes: uint8 [words, width * 3 / 8], scales: float32
    [width].
    """
    scales = np.sqrt((values**2).mean(axis=0)).astype(np.float32) * np.float32(
        2 * REACH / (2**BITS - 1)
    )
    levels = np.round(values / np.maximum(scales, 1e-9) + (2**BITS - 1) / 2).clip(0, 2**BITS - 1)
    bits = (levels.astype(np.uint8)[..., None] >> np.arange(BITS, dtype=np.uint8)) & 1
    return np.packbits(bits.reshape(len(values), -1), axis=1), scales


def drawn_sentences() -> list[str]:
    """Draw sentences of IMDB's unlabelled reviews."""
    rng = np.random.default_rng(0)
    drawn: list[str] = []
    for text in read_texts("imdb", DataOptions()):
        sentences = re.split(r"(?<=[.!?])\s+|\s*<br\s*/?>\s*", text)
        sentences = [
            sentence for sentence in sentences if SHORTEST <= len(sentence.split()) <= LONGEST
        ]
        drawn += [sentences[i] for i in rng.permutation(len(sentences))[:PER_REVIEW]]
    return [drawn[i] for i in np.sort(rng.permutation(len(drawn))[:SENTENCES])]


def components(values: Floats, width: int) -> Floats:
    """Return the first principal components: float32 [n, width]."""
    centred = values - values.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, ::-1][:, :width], np.float32)


def added(texts: Sequence[str], vectors: Floats, pretrained: PretrainedWords) -> Floats:
    """Return what each word adds to the vectors of texts: float32 [words, WIDTH], longer the surer
    it is.
    """
    words = pretrained.words
    place = {word: i for i, word in enumerate(words)}
    weighted = pretrained.embeddings(words, FIRST_WORD_ID + len(words)).weighted[FIRST_WORD_ID:]
    weights = np.linalg.norm(weighted, axis=1)  # the vectors are of length 1
    rows = []
    columns = []
    values = []
    for row, text in enumerate(texts):
        in_text = [place[word] for word in re.findall("[a-z]+", text.lower()) if word in place]
        rows += [row] * len(in_text)
        columns += in_text
        values += [weights[i] / len(in_text) ** 0.5 for i in in_text]
    x = sparse.csr_matrix((np.array(values, np.float32), (rows, columns)), (len(texts), len(words)))
    fitted = (
        Ridge(alpha=1.0, solver="sparse_cg", max_iter=60).fit(x, components(vectors, WIDTH)).coef_.T
    )
    texts_of = np.bincount(x.indices, minlength=len(words))
    size = np.sqrt((fitted[texts_of >= OFTEN] ** 2).sum(axis=1).mean())
    return np.asarray(fitted / size * (texts_of / (texts_of + HALF_SURE))[:, None], np.float32)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("encoder")
    parser.add_argument("--licence", default="Apache-2.0", help="of the encoder")
    asked = parser.parse_args()
    reader = EncoderReader(asked.encoder, print)
    every = encoder_words(reader.model)
    if every is None:
        raise SystemExit(f"{asked.encoder} has no table of words")
    latin = [i for i, word in enumerate(every.words) if word.isascii()]
    words = tuple(every.words[i] for i in latin)
    pretrained = PretrainedWords(words, every.table, every.pieces[latin], every.read)
    texts = drawn_sentences()
    print(f"{len(texts):,} sentences")
    first = every.table[pretrained.pieces]
    first = first - first.mean(axis=0)
    first = first / np.sqrt((first**2).sum(axis=1).mean())
    second = added(texts, reader.vectors(texts)[0], pretrained)
    codes, scales = packed(components(np.concatenate([first, second], axis=1), WIDTH))
    lines = np.frombuffer("\n".join(words).encode(), np.uint8)
    provenance = {"source": asked.encoder.rstrip("/").split("/")[-1], "licence": asked.licence}
    save_file({"codes": codes, "scales": scales, "words": lines}, ENGLISH, provenance)
    print(f"{ENGLISH}: {len(words):,} words, {ENGLISH.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
