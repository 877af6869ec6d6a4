"""Files that are no model any more: cut, changed, of a later format, of another rule, of another kind."""

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
        ("later format", edited({"format": "4"})),
        ("several labels without thresholds", edited({"format": "3"})),
        ("several labels in format 2", changed("network", several=True)),
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
        ("other letters", changed("tokenizer", lowercase="ascii")),
        ("other padding", changed("tokenizer", padding="left")),
        ("length 0", changed("tokenizer", length=0)),
        ("length 200,000,000", changed("tokenizer", length=200_000_000)),
        ("length a text", changed("tokenizer", length="600")),
        ("oov_id behind the embedding", changed("tokenizer", oov_id=99_999)),
        ("oov_id 0", changed("tokenizer", oov_id=0)),
        ("no network", edited({"network": None})),
        ("other pooling", changed("network", pooling="attention")),
        ("other width", changed("network", hidden=95)),
        ("other depth", changed("network", layers=2)),
        ("no layers", changed("network", layers=0)),
        ("other direction", changed("network", bidirectional=False)),
        ("other pairs", changed("network", pair_buckets=7)),
        ("no pairs", changed("network", pair_buckets=250_001)),
        ("no such graph", edited(graph=b"")),
        ("graph of noise", edited(graph=rng.randbytes(2000))),
        ("graph cut", edited(graph=onnx_file.parse(DATA).graph[:-70])),
        ("nested JSON", edited({"network": "[" * 100_000})),
    ]
    several = json.dumps({**json.loads(metadata["edge_lstm.network"]), "several": True})
    thresholds = ('{"thresholds":[0.5,2]}', '{"thresholds":[1,1,1]}', '{"thresholds":[1,1]}')  # of one logit
    files += [(t, edited({"format": "3", "network": several, "several": t})) for t in thresholds]
    files += [(f"cut at {at}", DATA[:at]) for at in (1, 100, 5000, len(DATA) // 2, len(DATA) - 1)]
    for _ in range(12):
        at = rng.randrange(len(DATA))
        bit = DATA[at] ^ (1 << rng.randrange(8))
        files.append((f"bit changed at {at}", DATA[:at] + bytes([bit]) + DATA[at + 1 :]))
    files.append(("bytes behind it", DATA + b"\x00"))
    return files
