"""The start of a training from another model: its LSTM, and its embeddings of words.

The model is a model file or a checkpoint, for example of a network that was imported.

A network that starts so need not learn from few rows how words act on each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import load_model_from_string, numpy_helper

from edge_lstm.core.fields import FIELD_WORDS
from edge_lstm.core.modelfile import ModelFile
from edge_lstm.core.text import FIRST_WORD_ID, OOV_ID, PAD_ID, START_ID, Tokenizer
from edge_lstm.errors import DataError
from edge_lstm_export.arrays import Floats
from edge_lstm_export.network import Weights, lstm_name
from edge_lstm_export.onnx import SENTINELS, open_source, unpacked
from edge_lstm_export.options import NetworkOptions, SourceFile

_SMALLEST = 1e-6  # divisors are at least this


@dataclass(frozen=True)
class LstmShape:
    """Sizes of a model's first LSTM: embedding width, units per direction, directions."""

    embedding_dim: int
    hidden: int
    bidirectional: bool

    def __str__(self) -> str:
        both = ", both directions" if self.bidirectional else ""
        return f"{self.hidden} units on embeddings of {self.embedding_dim}{both}"


def lstm_shape(model: ModelFile) -> LstmShape:
    """Return the sizes of a model's first LSTM.

    Raises DataError if it has none, or one that trainings do not make.
    """
    lstms = model.network.lstms
    if not lstms:
        raise DataError(f"{model.path} has no LSTM to start from; use it as --teacher")
    first = lstms[0]
    if first.hard_sigmoid is not None:
        raise DataError(
            f"{model.path} has gates of a hard sigmoid, which a new network does not have; "
            "use it as --teacher instead of --start"
        )
    return LstmShape(model.network.embedding_dim, first.units, first.bidirectional)


def check_shape(file: SourceFile, network: NetworkOptions) -> None:
    """Check that the network has the LSTM of the model that it starts from.

    Raises DataError if not.
    """
    theirs = lstm_shape(open_source(file))
    own = LstmShape(network.embedding_dim, network.hidden, network.bidirectional)
    if theirs != own:
        raise DataError(
            f"the plan starts from {file.source}, an LSTM of {theirs}, but plans one of {own}; "
            "use the same sizes, or start from no file"
        )


def first_weights(file: SourceFile, tokenizer: Tokenizer) -> tuple[Weights, Floats]:
    """Return first values of the LSTM, by PyTorch's names, and of the embedding.

    The embedding is float32 [ids, E]: an entry has the mean of the vectors that the file reads it
    as, NaN if it knows none of it.
    """
    model = open_source(file)
    weights = lstm_weights(model)
    table = weights.pop("embedding.weight")
    vectors = np.full((tokenizer.num_ids, table.shape[1]), np.nan, np.float32)
    rule = model.tokenizer.rule
    vectors[:FIRST_WORD_ID] = table[PAD_ID]
    if rule.start_id is not None:
        vectors[START_ID] = table[rule.start_id]
    if rule.oov_id is not None:
        vectors[OOV_ID] = table[rule.oov_id]
    for row, entry in enumerate(tokenizer.entries, FIRST_WORD_ID):
        if FIELD_WORDS.fullmatch(entry):
            continue  # its number means another field in the file
        ids = [i for i in model.tokenizer.encode_text(entry).ids if model.tokenizer.is_known(i)]
        if ids:
            vectors[row] = table[ids].mean(axis=0)
    return weights, vectors


def lstm_weights(model: ModelFile) -> Weights:
    """Return a model file's embedding and first LSTM in float32, by PyTorch's names.

    They are without sentinels.

    ONNX has the gates in the order input, output, forget, cell; PyTorch in input, forget, cell,
    output.
    """
    graph = load_model_from_string(model.data).graph
    tensors = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    w = tensors["lstm0_w"]  # D, 4H, E
    r = tensors["lstm0_r"]  # D, 4H, H
    embedding = tensors.get("embedding", np.zeros((0, 0)))
    hidden = r.shape[2]
    if "lstm0_w_scale" in tensors:  # int8: D, inputs, 4H, with sentinels
        hidden = r.shape[1] - SENTINELS
        w = _dequantized(w, tensors["lstm0_w_scale"])[:, :, :-SENTINELS]
        r = _dequantized(r, tensors["lstm0_r_scale"])[:, :, :hidden]
        width = model.network.embedding_dim
        if "embedding_q" in tensors:
            embedding = unpacked(tensors["embedding_q"], tensors["embedding_m"], width)
        embedding = embedding * tensors["embedding_scale"]
    bias = tensors["lstm0_b"]  # D, 4H
    weights = {"embedding.weight": embedding.astype(np.float32)}
    for name, values in {"weight_ih": w, "weight_hh": r, "bias_ih": bias}.items():
        i, o, f, g = (gate[:, :hidden] for gate in np.split(values, 4, axis=1))
        for direction, value in enumerate(np.concatenate([i, f, g, o], axis=1)):
            weights[f"lstms.0.{lstm_name(direction)}.{name}_l0"] = value.astype(np.float32)
    return weights


def _dequantized(values: npt.NDArray[np.int8], scale: Floats) -> Floats:
    """int8 [D, inputs, 4H], a scale per direction → float32 [D, 4H, inputs]."""
    return np.asarray((values * scale[:, None, None]).transpose(0, 2, 1), np.float32)


def first_values(vectors: Floats, width: int) -> Floats:
    """Return first values of an embedding from pretrained vectors: their first components.

    Their standard deviation is 1.

    vectors: float32 [ids, any]; 0 means unknown.

    Return float32 [ids, at most width], NaN for unknown ids.
    """
    first = np.array(vectors[:, :width], np.float32)
    known = vectors.any(axis=1)
    if known.any():
        first *= np.float32(1 / max(_SMALLEST, float(first[known].std())))
    first[~known] = np.nan
    return first
