"""Which score tells foreign texts from a model's own? AUROC of several, of probabilities, logits
and ids.

python -m benchmarks.unfamiliar MODEL OWN.csv FOREIGN.csv
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
from scipy.special import logsumexp

from edge_lstm import Classifier
from edge_lstm.core.familiarity import RARITY, unfamiliarity
from edge_lstm.core.modelfile import INPUT_NAME
from edge_lstm.core.text import to_matrix
from edge_lstm.metrics import auroc
from edge_lstm.tables.reader import read_rows


def scores(classifier: Classifier, texts: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each score and float64 [texts], the higher the less familiar."""
    graph = onnx.load_from_string(classifier.model.data)
    tokenizer = classifier.model.tokenizer
    graph.graph.output.append(onnx.helper.make_tensor_value_info("logits", 1, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    ids = [tokenizer.encode_text(text).ids for text in texts]
    p, z = session.run(None, {INPUT_NAME: to_matrix(ids, tokenizer.length)})
    z = np.hstack([np.zeros_like(z), z]) if z.shape[1] == 1 else z
    # a text without tokens counts as 1
    renyi = unfamiliarity(p, [[]] * len(ids), tokenizer) - RARITY
    yield "1 - best probability", 1 - p.max(axis=1)
    yield "Rényi entropy of order 1/2", renyi
    yield "energy of the logits", -logsumexp(z, axis=1)
    yield f"Rényi + {RARITY} × mean log id", unfamiliarity(p, ids, tokenizer)


def main() -> None:
    """Print the table."""
    classifier = Classifier.load(sys.argv[1])
    files = sys.argv[2:]
    texts = ([row.text for row in read_rows([file]) if row.text] for file in files)
    for (name, own), (_, foreign) in zip(*(scores(classifier, part) for part in texts)):
        print(f"| {name} | {auroc(own, foreign):.4f} |")


if __name__ == "__main__":
    main()
