"""The tables of defaults that a plan is made from.

They are by kind of data, by preset, and the bounds of each rule.

benchmarks/decisions.md says what each is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edge_lstm_export.options import LoopOptions

# --- Kinds of data --------------------------------------------------------------------------------

# Mean number of words per text: reviews have hundreds, sentences and questions 5 to 30.
LONG_TEXTS = 60.0
# Long texts with more labels are about topics, which single words reveal. Two labels, and scores,
# are mostly for reviews, which need the order of words.
MOST_REVIEW_LABELS = 2
# With more labels, an n-gram has a vector of a lower rank instead of a column per logit.
MOST_EXACT_LABELS = 16
# The same for topics, whose words say more than a vector of a lower rank can keep.
MOST_EXACT_TOPICS = 100
# Share of the texts whose words are in a script without spaces.
UNSEGMENTED_SHARE = 0.3
# Rows. With fewer, cross-validation judges all of them and none is held out.
FEW_ROWS = 2000
# Rows that cross-validation needs, and its folds.
FEWEST_TO_CROSS_VALIDATE = 10
FOLDS = 3
# --- Sizes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A network.

    With the two sentinels of the int8 file, its widths suit vector registers.

    words: ids of the vocabulary.
    embedding: its width.
    hidden: LSTM units per direction.
    bidirectional: the LSTM reads in both directions.
    """

    words: int
    embedding: int
    hidden: int
    bidirectional: bool = True


@dataclass(frozen=True)
class Preset:
    """A size: the largest int8 file, in 1,000 bytes, and its networks.

    long: for long texts.
    short: for others; None: the same.
    rank: of n-gram vectors, if labels are many.
    is_large: a wide LSTM and related words are worth their bytes in short texts.
    """

    max_kilobytes: int
    long: Shape
    short: Shape | None = None
    rank: int = 0
    is_large: bool = False


PRESETS: Mapping[str, Preset] = {
    "tiny": Preset(
        max_kilobytes=60,
        long=Shape(2800, embedding=14, hidden=30, bidirectional=False),
        short=Shape(1500, embedding=14, hidden=14),
        rank=16,
    ),
    "small": Preset(
        max_kilobytes=160,
        long=Shape(8000, embedding=14, hidden=62, bidirectional=False),
        short=Shape(3000, embedding=30, hidden=46),
        rank=32,
    ),
    "medium": Preset(
        max_kilobytes=300,
        long=Shape(12000, embedding=30, hidden=94, bidirectional=False),
        short=Shape(5000, embedding=46, hidden=62),
        rank=48,
        is_large=True,
    ),
    "base": Preset(
        max_kilobytes=550,
        long=Shape(16000, embedding=30, hidden=94),
        short=Shape(8000, embedding=62, hidden=94),
        rank=64,
        is_large=True,
    ),
    # Keras's example.
    "seed": Preset(
        max_kilobytes=300,
        long=Shape(5000, embedding=32, hidden=100, bidirectional=False),
    ),
}
# Topics need no order of words: embedding and units of the smallest LSTM ...
TOPICS_SHAPE = (6, 14)
# ... up to this many labels. With more, the network has no LSTM: its bytes gain more as words, with
# their wide columns.
MOST_TOPICS_WITH_LSTM = 16
# What an n-gram counts that occurs once, twice, …, if n-grams alone tell topics: 1 and the
# logarithm of its occurrences, in eighths.
LOGARITHMIC_COUNTS = tuple(round(8 * (1 + math.log(times))) for times in range(1, 16))
# Ids of a text that are read: an article names its topic at its beginning.
TOPICS_LENGTH = 1_600
# Smallest number of ids in a vocabulary, however small the file.
FEWEST_WORDS = 500
# Short texts in segmented scripts take a large vocabulary before a large LSTM: this share of the
# room ...
LARGE_VOCABULARY_SHARE = 0.85
# ... and an LSTM of at most this size (embedding, hidden).
LARGE_VOCABULARY_SHAPE = (14, 30)
# The same if the table of English words knows the words, which are worth more width: units with few
# rows ...
FEW_ROWS_HIDDEN = 30
# ... and the whole shape in a large file.
ENGLISH_SHAPE = (46, 62)

# --- The training loop ----------------------------------------------------------------------------

# By the kind of data, and of the preset seed.
LOOPS: Mapping[str, LoopOptions] = {
    "long": LoopOptions(
        epochs=8,
        batch_size=32,
        learning_rate=4e-3,
        patience=3,
        embedding_rate=0.25,
        crops=0.7,
    ),
    # A small LSTM, less important than the n-grams: few epochs of large batches.
    "topics": LoopOptions(
        epochs=3,
        batch_size=64,
        learning_rate=5e-3,
        patience=3,
        crops=0.7,
    ),
    **dict.fromkeys(
        ("short", "many labels", "unsegmented"),
        LoopOptions(epochs=14, batch_size=64, learning_rate=5e-3, patience=14),
    ),
    "seed": LoopOptions(epochs=6, batch_size=64, learning_rate=4e-3),
}
# Of the network.
DROPOUT = 0.3
# Peak learning rate of a network that starts from a model file.
START_RATE = 1e-3
# Learning rate of pretrained word embeddings, as a share of the others'.
PRETRAINED_WORDS_RATE = 0.1
# Epochs for many rows with a transfer set, whose texts repeat what the rows say.
TRANSFER_EPOCHS = 8
# Smallest number of steps. A shorter training has not learnt enough, so epochs are added ...
FEWEST_STEPS = 500
# ... up to this number of epochs.
MOST_EPOCHS = 40
# Batches per epoch, and texts per batch: batches are halved until an epoch has this many batches.
FEWEST_BATCHES = 20
SMALLEST_BATCH = 8

# --- The n-gram part ------------------------------------------------------------------------------

# C of the SVMs of topics, and the shortest character n-grams that they read.
TOPICS_REGULARIZATION = 1.0
TOPICS_CHARACTERS = 3
# Character n-grams are read if all rows together have at most this many words: their columns take a
# gigabyte for each 10 million.
MOST_WORDS_WITH_CHARACTERS = 10_000_000
# Norm of a text's word embeddings, relative to its n-grams' norm.
EMBEDDINGS = 1.5
# Labels. With more, SVMs merged with vectors of a lower rank take minutes.
MOST_SVM_LABELS = 300
# Rows. With more, word embeddings take too much memory, as they are a dense matrix in the fit.
MOST_WITH_EMBEDDINGS = 100_000
# Share of the words that the table of English words must know to be used by default.
LEAST_ENGLISH = 0.7
# Subwords as a share of the ids, in an unsegmented script.
UNSEGMENTED_SUBWORD_SHARE = 0.9

# --- Teachers and the transfer set ----------------------------------------------------------------

# Weight of a row's own label in its target, with teachers.
HARD_LABEL_WEIGHT = 0.6
# Texts of a log that the teachers label; from a longer log, a random sample.
MOST_UNLABELLED = 20_000
# A log with at least this many texts replaces augmented texts: labelled by an encoder, it teaches
# more.
ENOUGH_UNLABELLED = 1000
# Rows. More are not augmented.
MOST_TO_AUGMENT = 20_000
# Augmented texts in all: with few rows; with few rows of many labels; with many rows, for an
# encoder.
AUGMENTED = 4_000
AUGMENTED_MANY_LABELS = 12_000
AUGMENTED_ENCODER = 100_000
# Augmented texts per row, at most.
MOST_PER_ROW = 40
# Share of wrong letters in a copy of each row.
TYPOS = 0.05

# --- The trial of a model file as a teacher -------------------------------------------------------

# The model file that is tried by default.
CANDIDATE = "sentiment"
# Largest number of rows for the trial, and its folds.
TRIAL_ROWS = 1_999
TRIAL_FOLDS = 5
# Standard errors by which it must raise the accuracy, and lower the log loss.
TRIAL_ACCURACY_GAIN = 1.0
TRIAL_LOG_LOSS_GAIN = 4.0
# Probability of a label that no row has, for a comparison with always answering the frequent one.
TRIAL_UNSEEN = 1e-6
