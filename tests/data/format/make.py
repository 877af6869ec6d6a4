"""Make the small model files of format 1, one of each kind: ``python tests/data/format/make.py``.

Their answers are in bits.json, as bits of float32 that the engine gives on every machine. The files
were made once and stay as they are: an engine of any later version gives these bits. A new kind is
a new file; this makes those that are not there.

Networks are not trained: their weights are drawn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[3]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests" / "export")]

import torch  # noqa: E402
from edge_lstm_export.checkpoint import Checkpoint  # noqa: E402
from edge_lstm_export.onnx import Draft  # noqa: E402
from made import checkpoint_of  # noqa: E402

from edge_lstm.core.fields import Fields  # noqa: E402
from edge_lstm.core.layers import Dense, Lstm, NetworkConfig  # noqa: E402
from edge_lstm.core.text import TextRule, Tokenizer, subword_rule  # noqa: E402

FOLDER = Path(__file__).parent
TEXTS = (
    "",
    "Word3, word4 word5; word5!",
    "unheard of",
    "WORD7 WORD7 word8 word9 " * 9,
    "Σας ’twas ... word12 word1",
    '{"text": "word3 word4", "size": 1.5, "kind": "a"}',
)
ODD_RULE = TextRule(
    ".", removed="'", lowercase="ascii", start_id=None, oov_id=None, first_word_id=1, keeps="first"
)


def made(*arguments: Any) -> Checkpoint:
    """Return a checkpoint whose answers are not too sure. arguments: of checkpoint_of."""
    checkpoint = checkpoint_of(*arguments)
    with torch.no_grad():
        checkpoint.network.head.weight.mul_(0.3)
    return checkpoint


def kinds() -> dict[str, Checkpoint]:
    """Return a checkpoint of each kind."""
    both = (Lstm(6, bidirectional=True, gives="mean+max"),)
    pairs = {"ngram_words": 18, "ngram_slots": 31, "ngram_dim": 1}
    small = {"num_words": 20, "embedding_dim": 5}
    whole = made(NetworkConfig(layers=both, **small, **pairs), 30)
    pieces = made(NetworkConfig(layers=(Lstm(6),), labels=4, **small), 30)
    rule = subword_rule("!")
    words = pieces.tokenizer.words
    pieces = replace(
        pieces, tokenizer=Tokenizer(words[:10], 30, (*words[10:12], "w", "ord", "1", "'"), rule)
    )
    deep = (
        Lstm(5, gives="steps", hard_sigmoid=0.2),
        Lstm(4, bidirectional=True, gives="max", floor=-1),
        Dense(7, "tanh"),
    )
    alone = {
        "num_words": 20,
        "embedding_dim": 0,
        "layers": (),
        "ngram_words": 18,
        "ngram_slots": 31,
    }
    several = NetworkConfig(**alone, ngram_dim=3, labels=3, multi_label=True)
    rows = made(NetworkConfig(**alone, ngram_dim=4, labels=4), 30, subword_rule("!"))
    fields = Fields.from_dict(
        {
            "fields": [
                {"name": "text", "kind": "text"},
                {"name": "size", "kind": "number", "edges": [1, 2]},
                {"name": "kind", "kind": "category", "values": ["a", "b"]},
            ],
            "pairs": [],
        }
    )
    field_words = tuple(chr(0xF0000 + i) for i in range(9))
    tokenizer = replace(rows.tokenizer, words=rows.tokenizer.words[:-9] + field_words)
    return {
        "pairs.int8": whole,
        "pairs.fp32": whole,
        "pieces.int8": pieces,
        "words.int8": made(NetworkConfig(layers=(Lstm(6),), num_words=120, embedding_dim=5), 30),
        "layers.int8": made(NetworkConfig(layers=deep, **small), 30),
        "padding.int8": made(
            NetworkConfig(layers=(Lstm(6, gives="mean"),), padding="front", **small), 30
        ),
        "rule.int8": made(NetworkConfig(layers=(Lstm(6, gives="max"),), **small), 30, ODD_RULE),
        "codes.int8": made(
            NetworkConfig(**alone, ngram_dim=17, ngram_counts=(8, 14, 17), labels=17), 30
        ),
        "several.int8": replace(made(several, 30), thresholds=(0.3, 0.5, 0.7)),
        "fields.int8": replace(rows, tokenizer=tokenizer, fields=fields),
    }


def engine_answers(program: Path, path: Path) -> list[str]:
    """Return the engine's line of each text: status, ids, bits (tests/engine/answers.c)."""
    texts = [text.encode() for text in TEXTS]
    records = b"".join(b"%d\n" % len(text) + text for text in texts)
    command = [str(program), str(path), "-", "one"]
    return (
        subprocess.run(command, input=records, capture_output=True, check=True)
        .stdout.decode()
        .splitlines()
    )


def main() -> None:
    """Write what is not there, and the answers of all."""
    for name, checkpoint in kinds().items():
        path = FOLDER / f"{name}.onnx"
        if not path.exists():
            int8 = name.endswith("int8")
            path.write_bytes(Draft(checkpoint, int8=int8).finished(None, []))
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "answers"
        engine = PROJECT / "engine"
        sources = [PROJECT / "tests" / "engine" / "answers.c", engine / "edge_lstm.c"]
        subprocess.run(
            ["gcc", "-O2", f"-I{engine}", *map(str, sources), "-o", str(program)], check=True
        )
        files = {path.name: engine_answers(program, path) for path in sorted(FOLDER.glob("*.onnx"))}
    told = {"texts": TEXTS, "answers": files}
    (FOLDER / "bits.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
