"""Files that are no model any more: cut, changed, of another format, of another rule, of another kind."""

from __future__ import annotations

import json
import random

from edge_lstm import onnx_file
from tests.model_files import DATA, edited


def damaged_files() -> list[tuple[str, bytes]]:
    """(what is wrong, bytes) of files that every port must refuse in one line."""
    metadata = onnx_file.parse(DATA).metadata

    def changed(key: str, **values: object) -> bytes:
        return edited({key: json.dumps({**json.loads(metadata[f"edge_lstm.{key}"]), **values})})

    rng = random.Random(1)
    files = [
        ("empty", b""),
        ("one byte", b"\x00"),
        ("text", b"This is not a model file.\n" * 50),
        ("noise", rng.randbytes(5000)),
        ("another ONNX file", b"\x08\x08\x12\x07pytorch"),
        *((f"format {number}", edited({"format": number})) for number in ("1", "2", "3", "9", "11", "010")),
        ("several labels without thresholds", changed("network", several=True)),
        ("thresholds without several labels", edited({"several": '{"thresholds":[0.5,0.5]}'})),
        ("format of 5,000 digits", edited({"format": "9" * 5000})),
        ("format no number", edited({"format": "one"})),
        ("no format", edited({"format": None})),
        ("labels exchanged", edited({"labels": '["pos","neg"]'}, digest="old")),
        ("no digest", edited(digest="none")),
        ("the digest of other bytes", edited({"labels": '["pos","neg"]'}, digest="old")),
        ("digest's entry skipped", b"\x32".join(DATA.rsplit(b"\x72", 1))),
        ("control character in a label", edited({"labels": '["a\\u0000b","a\\u0000c"]'})),
        ("C1 control character in a label", edited({"labels": '["neg","\u009bpos"]'})),
        ("digest's key changed", DATA.replace(b"edge_lstm.digest", b"edge_lstm.dikest")),
        ("one label", edited({"labels": '["pos"]'})),
        ("three labels", edited({"labels": '["a","b","c"]'})),
        ("labels no list", edited({"labels": "5"})),
        ("labels no JSON", edited({"labels": '["a","b'})),
        ("vocabulary too long", edited({"vocabulary": "\n".join(map(str, range(20_000)))})),
        ("no vocabulary", edited({"vocabulary": None})),
        ("no tokenizer", edited({"tokenizer": None})),
        ("tokenizer no JSON", edited({"tokenizer": "{"})),
        ("other rule", changed("tokenizer", rule="characters")),
        ("rule pieces-2", changed("tokenizer", rule="pieces-2", letters="abc")),
        ("pieces without their settings", changed("tokenizer", rule="pieces-1")),
        ("no oov_id", changed("tokenizer", oov_id=None)),
        ("other letters", changed("tokenizer", lowercase="ascii")),
        ("other padding", changed("tokenizer", padding="left")),
        ("length 0", changed("tokenizer", length=0)),
        ("length 200,000,000", changed("tokenizer", length=200_000_000)),
        ("length a text", changed("tokenizer", length="600")),
        ("other oov_id", changed("tokenizer", oov_id=3)),
        ("no network", edited({"network": None})),
        *((f"pooling {name}", changed("network", pooling=name)) for name in ("attention", "mean", "max")),
        ("other width", changed("network", hidden=95)),
        ("other direction", changed("network", bidirectional=False)),
        ("fewer n-grams", changed("network", ngrams=7)),
        ("no n-grams", changed("network", ngrams=0)),
        ("wider n-grams", changed("network", ngram_dim=2)),
        ("fewer words", changed("network", num_words=7)),
        ("no such graph", edited(graph=b"")),
        ("graph of noise", edited(graph=rng.randbytes(2000))),
        ("graph cut", edited(graph=onnx_file.parse(DATA).graph[:-70])),
        ("nested JSON", edited({"network": "[" * 100_000})),
    ]
    several = json.dumps({**json.loads(metadata["edge_lstm.network"]), "several": True})
    thresholds = ('{"thresholds":[0.5,2]}', '{"thresholds":[1,1,1]}', '{"thresholds":[1,1]}')  # of one logit
    files += [(t, edited({"network": several, "several": t})) for t in thresholds]
    files += [(f"cut at {at}", DATA[:at]) for at in (1, 100, 5000, len(DATA) // 2, len(DATA) - 1)]
    for _ in range(12):
        at = rng.randrange(len(DATA))
        bit = DATA[at] ^ (1 << rng.randrange(8))
        files.append((f"bit changed at {at}", DATA[:at] + bytes([bit]) + DATA[at + 1 :]))
    files.append(("bytes behind it", DATA + b"\x00"))
    return files
