"""Model files made to take all memory when they are opened: every reader ends soon and in little
memory.

Each file has a right digest, and something small in it so often that parsed it is many times
larger.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import onnx_file
from tests.engine.conftest import compiled, program  # noqa: F401
from tests.model_files import DATA, compact, edited, encode, field, message, sealed, tensor, varint

MIB = 2**20
BYTES = 20 * MIB
METADATA = onnx_file.parse(DATA).metadata
GRAPH = bytes(onnx_file.parse(DATA).graph)
PROJECT = Path(__file__).parents[2]


def many(text: str, size: int = BYTES) -> str:
    """The text, again and again with commas between."""
    return ",".join([text] * (size // (len(text) + 1)))


def different(size: int = BYTES) -> str:
    """Different words, with commas between."""
    return ",".join(f'"{i:x}"' for i in range(size // 9))


def with_one_node(node: bytes) -> bytes:
    return edited(graph=GRAPH + field(1, node))


def with_ngrams() -> bytes:
    """Ten million n-grams, each with the number 0."""
    pool = field(5, field(1, b"pool_int64s") + field(8, bytes(BYTES)))
    return with_one_node(field(4, b"TfIdfVectorizer") + pool)


def of_many_labels() -> bytes:
    """As many labels as there may be, so that other entries may be larger, and those full of
    lists."""
    labels = [f"{i:x}" for i in range(100_000)]
    network = compact({**json.loads(METADATA["edge_lstm.network"]), "labels": len(labels)})
    full = f'{{"a":[{many("[]", 50 * MIB)}]}}'
    return edited(
        {"labels": compact(labels), "network": network, "training": full, "golden": full[5:-1]}
    )


def words(line: str) -> bytes:
    """A vocabulary of so many lines that its list takes all memory, with a network that says so."""
    count = BYTES // len(line)
    network = {**json.loads(METADATA["edge_lstm.network"]), "num_words": count + 5}
    return edited({"vocabulary": line * count, "network": compact(network)})


def in_metadata(key: str, value: Callable[[], str]) -> Callable[[], bytes]:
    return lambda: edited({key: value()})


HOSTILE: dict[str, Callable[[], bytes]] = {
    "training": in_metadata("training", lambda: f'{{"a":[{many("[]", 60 * MIB)}]}}'),
    "training of many names": in_metadata(
        "training", lambda: f"{{{different().replace(',', ':0,')}:0}}"
    ),
    "golden": in_metadata("golden", lambda: f"[{many('{}')}]"),
    "quantization": in_metadata("quantization", lambda: f'{{"a":[{many("{}")}]}}'),
    "abstention": in_metadata("abstention", lambda: f'{{"points":[{many("[0,1,1]")}]}}'),
    "network": in_metadata("network", lambda: f'{{"a":[{many("[]")}]}}'),
    "tokenizer": in_metadata("tokenizer", lambda: f'{{"a":[{many("[]")}]}}'),
    "multi_label": in_metadata("multi_label", lambda: f'{{"thresholds":[{many("0.5")}]}}'),
    "labels": in_metadata("labels", lambda: f"[{different()}]"),
    "many labels": of_many_labels,
    "empty words": lambda: words("\n"),
    "words": lambda: words("a\n"),
    "an entry that nobody reads": in_metadata("other", lambda: "a" * 100 * MIB + "\U0001f600"),
    "a producer": lambda: sealed(
        encode(GRAPH, METADATA.items(), producer="a" * BYTES + "\U0001f600")
    ),
    "entries": lambda: edited(after=field(14, b"") * (BYTES // 2)),
    "fields of an entry": lambda: edited(after=field(14, field(1, b"") * (BYTES // 2))),
    "opsets": lambda: edited(after=field(8, b"") * (BYTES // 2)),
    "operators": lambda: edited(graph=GRAPH + field(1, b"") * (BYTES // 2)),
    "inputs of an operator": lambda: with_one_node(field(1, b"") * (BYTES // 2)),
    "n-grams": with_ngrams,
    "constants": lambda: edited(graph=GRAPH + field(5, b"") * (BYTES // 2)),
    "axes of a constant": lambda: edited(graph=GRAPH + field(5, field(1, bytes(BYTES)))),
    "axes of an input": lambda: edited(
        graph=GRAPH + field(11, field(2, field(1, field(2, field(1, b"") * (BYTES // 2)))))
    ),
    "inputs": lambda: edited(graph=GRAPH + field(11, b"") * (BYTES // 2)),
}

OPEN = """
import resource, sys, time
from pathlib import Path
from edge_lstm import EdgeLSTMError
from edge_lstm.modelfile import open_model
sys.path.append({engine!r})
import reference
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
for read in (open_model, lambda path: reference.read(path.read_bytes())):
    start = time.process_time()
    try:
        read(Path(sys.argv[1]))
        told = "opened"  # by a reader that does not look at what is hostile
    except (EdgeLSTMError, reference.ModelError) as error:
        told = error
    print(time.process_time() - start, told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_cannot_take_all_memory(
    name: str,
    program: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(HOSTILE[name]())
    code = OPEN.format(engine=str(PROJECT / "engine"), limit=1024 * MIB)
    run = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, cwd=PROJECT, timeout=100
    )
    assert run.returncode == 0, run.stderr[-500:]
    told = run.stdout.splitlines()
    assert len(told) == 2 and "opened" not in told[0], run.stdout
    assert all(float(line.split()[0]) < 5 for line in told), told
    start = time.monotonic()
    limited = f'ulimit -v {1024 * 1024}; exec "$@"'
    command = ["bash", "-c", limited, "engine", *program, str(path), "-", "one"]
    run = subprocess.run(command, capture_output=True, text=True, input="", timeout=100)
    assert run.returncode >= 0, "killed"
    assert time.monotonic() - start < 20  # a hang, not a slow day


def test_a_file_of_the_largest_size_is_read_without_a_copy(tmp_path: Path) -> None:
    """Of half a GiB: one copy more would not fit."""
    graph = GRAPH + field(5, message([(8, b"more"), (1, 400 * MIB), (2, 3), (9, bytes(400 * MIB))]))
    path = tmp_path / "m.onnx"
    path.write_bytes(edited(graph=graph))
    del graph
    code = OPEN.format(engine=str(PROJECT / "engine"), limit=800 * MIB).replace(
        ", lambda path: reference.read(path.read_bytes())", ","
    )
    run = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, cwd=PROJECT, timeout=100
    )
    assert run.stdout.endswith(" opened\n"), run.stdout + run.stderr[-500:]


def crowded(count: int = 5000, ids: int = 8000) -> bytes:
    """N-grams that the engine's index would all put in one place: each then takes as many steps as
    there are n-grams before it."""
    left = np.arange(4, ids, dtype=np.uint32)[:, None]
    right = np.arange(4, ids, dtype=np.uint32)
    pairs: list[list[int]] = []
    for start in range(0, len(left), 500):
        part = left[start : start + 500]
        digest = (part * np.uint32(0x9E3779B1) ^ right) * np.uint32(0x85EBCA6B)
        found = np.argwhere((digest ^ digest >> np.uint32(15)) & np.uint32(8191) == 7)
        pairs += (found + np.array([start + 4, 4])).tolist()
    chosen = np.array(pairs[:count])
    assert len(chosen) == count
    attributes = {
        b"pool_int64s": b"".join(map(varint, chosen.ravel().tolist())),
        b"ngram_counts": b"\0\0",
    }
    node = [(4, b"TfIdfVectorizer"), (1, b"ids"), (2, b"ngrams_present")]
    node += [(5, field(1, name) + field(8, value)) for name, value in attributes.items()]
    constants = {
        "embedding": np.tile(np.array([0] * 14 + [127, -128], np.int8), (ids + 1, 1)),
        "ngram_vectors": np.zeros((count, 1), np.int8),
    }
    parts = [field(1, message(node)), *(field(5, tensor(n, 3, v)) for n, v in constants.items())]
    for number, value in onnx_file._fields(onnx_file.parse(DATA).graph):
        fields = list(onnx_file._fields(value)) if number in (1, 5) else []
        if (4, b"TfIdfVectorizer") not in fields and not any(
            (8, n.encode()) in fields for n in constants
        ):
            parts.append(message([(number, value)]))
    network = {**json.loads(METADATA["edge_lstm.network"]), "num_words": ids, "ngrams": count}
    words = "\n".join(f"w{i}" for i in range(ids - 4))
    changes = {"network": compact(network), "vocabulary": words}
    return edited(changes, graph=b"".join(parts))


def test_the_engine_refuses_ngrams_that_were_chosen_to_make_it_slow(
    program: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(crowded())
    run = subprocess.run(
        [*program, str(path), "-", "one"], capture_output=True, text=True, input=""
    )
    assert run.returncode > 0 and "to make a search slow" in run.stderr
    path.write_bytes(crowded(1500))
    run = subprocess.run(
        [*program, str(path), "-", "one"], capture_output=True, text=True, input=""
    )
    assert run.returncode == 0, run.stderr
