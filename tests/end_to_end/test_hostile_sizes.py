"""Model files made to take all memory when they are opened: every reader ends soon and in little
memory.

Each file has a right digest, and something small in it so often that parsed it is many times
larger.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_lstm.core import onnx_file
from edge_lstm.core.text import front_coded
from tests.commands import finished
from tests.engine.conftest import compiled, program  # noqa: F401
from tests.model_files import DATA, compact, edited, encode, field, message, sealed, tensor

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


def settings(key: str, **changes: object) -> str:
    """An entry of the small model with other settings."""
    return compact({**json.loads(METADATA[f"edge_lstm.{key}"]), **changes})


def of_many_labels() -> bytes:
    """As many labels as there may be, so that other entries may be larger, and those full of
    lists."""
    labels = [f"{i:x}" for i in range(100_000)]
    full = f'{{"a":[{many("[]", 50 * MIB)}]}}'
    changes = {"training": full, "golden": full[5:-1]}
    network = settings("network", labels=len(labels))
    return edited({"labels": compact(labels), "network": network, **changes})


def words(entry: str) -> bytes:
    """A vocabulary of so many entries that their list takes all memory, with a network that says
    so."""
    count = BYTES // len(entry)
    network = settings("network", num_words=count + 4)
    changes = {"network": network, "tokenizer": settings("tokenizer", words=count)}
    return edited({"vocabulary": entry * count, **changes})


def growing() -> str:
    """Entries that share 30 letters with those before, of which the file holds one byte each."""
    return "\x01" + "a" * 30 + "\x1f" * (BYTES // 2)


def of_layers() -> str:
    """A network of a million layers."""
    (layer,) = json.loads(METADATA["edge_lstm.network"])["layers"]
    layers = many(compact(layer), 8 * MIB)
    return settings("network", layers=["here"]).replace('["here"]', f"[{layers}]")


# A file's own parts (after), or the graph's, nested from the outside in: the numbers of the fields.
NESTED = {
    "entries": ("after", 14),
    "fields of an entry": ("after", 14, 1),
    "opsets": ("after", 8),
    "operators": ("graph", 1),
    "inputs of an operator": ("graph", 1, 1),
    "constants": ("graph", 5),
    "axes of an input": ("graph", 11, 2, 1, 2, 1),
    "inputs": ("graph", 11),
}
METADATA_OF: dict[str, tuple[str, Callable[[], str]]] = {
    "training": ("training", lambda: f'{{"a":[{many("[]", 60 * MIB)}]}}'),
    "training of many names": ("training", lambda: f"{{{different().replace(',', ':0,')}:0}}"),
    "golden": ("golden", lambda: f"[{many('{}')}]"),
    "network": ("network", lambda: f'{{"a":[{many("[]")}]}}'),
    "layers": ("network", of_layers),
    "multi_label": ("multi_label", lambda: f'{{"thresholds":[{many("0.5")}]}}'),
    "labels": ("labels", lambda: f"[{different()}]"),
    "words that grow": ("vocabulary", growing),
    "an entry that nobody reads": ("other", lambda: "a" * 100 * MIB + "\U0001f600"),
}
OTHERS: dict[str, Callable[[], bytes]] = {
    "many labels": of_many_labels,
    "empty words": lambda: words("\x01"),
    "words": lambda: words("\x01a"),
    "a producer": lambda: sealed(
        encode(GRAPH, METADATA.items(), producer="a" * BYTES + "\U0001f600")
    ),
    "numbers of an operator": lambda: in_graph(
        field(1, field(4, b"Add") + field(5, field(1, b"numbers") + field(8, bytes(BYTES))))
    ),
    "axes of a constant": lambda: in_graph(field(5, field(1, bytes(BYTES)))),
}


# A file of each way to take memory.
QUICK = ("entries", "operators", "axes of an input", "training", "labels", "words", "a producer")


def in_graph(part: bytes) -> bytes:
    return edited(graph=GRAPH + part)


def hostile(name: str) -> bytes:
    """The file of this name, with a right digest."""
    if name in OTHERS:
        return OTHERS[name]()
    if name in METADATA_OF:
        key, value = METADATA_OF[name]
        return edited({key: value()})
    place, *outer, last = NESTED[name]
    part = field(last, b"") * (BYTES // 2)
    for number in reversed(outer):
        part = field(number, part)
    return in_graph(part) if place == "graph" else edited(after=part)


OPEN = """
import resource, sys, time
from pathlib import Path
from edge_lstm import EdgeLSTMError
from edge_lstm.core.modelfile import open_model
sys.path.append({engine!r})
import reference
import reference_checks
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
for read in (open_model, lambda path: reference_checks.read(path.read_bytes())):
    start = time.process_time()
    try:
        read(Path(sys.argv[1]))
        told = "opened"  # by a reader that does not look at what is hostile
    except (EdgeLSTMError, reference.ModelError) as error:
        told = error
    print(time.process_time() - start, told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in (*NESTED, *METADATA_OF, *OTHERS)
    ],
)
def test_a_file_cannot_take_all_memory(
    name: str,
    program: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(hostile(name))
    code = OPEN.format(engine=str(PROJECT / "engine"), limit=1024 * MIB)
    run = finished([sys.executable, "-c", code, path], cwd=PROJECT, timeout=100)
    assert run.returncode == 0, run.stderr[-500:]
    told = run.stdout.splitlines()
    assert len(told) == 2 and "opened" not in told[0], run.stdout
    assert all(float(line.split()[0]) < 5 for line in told), told
    start = time.monotonic()
    limited = f'ulimit -v {1024 * 1024}; exec "$@"'
    command = ["bash", "-c", limited, "engine", *program, str(path), "-", "one"]
    run = finished(command, input="", timeout=100)
    assert run.returncode >= 0, "killed"
    assert time.monotonic() - start < 60  # a hang, not a slow day


def crowded(count: int) -> bytes:
    """Words that the engine's table (vocabulary.h) would all put in one place: each then takes as
    many steps as there are words before it."""
    characters = np.arange(33, 127, dtype=np.uint32)
    ends = np.stack(np.meshgrid(characters, characters, characters), axis=-1).reshape(-1, 3)
    slots = np.uint64(count * 7 // 4 + 2)
    words: list[str] = []
    for first in characters:
        digest = np.ones(len(ends), np.uint32)
        for byte in (first, *ends.T):
            digest = (digest ^ byte) * np.uint32(16777619)
        mixed = (digest * np.uint32(0x9E3779B1)).astype(np.uint64)
        chosen = ends[mixed * slots >> np.uint64(32) == 7]
        words += [chr(first) + "".join(map(chr, word)) for word in chosen.tolist()]
        if len(words) >= count:
            break
    assert len(words) >= count
    embedding = {
        "embedding_q": np.full((count + 5, 7), 0x88, np.uint8),
        "embedding_m": np.zeros((count + 6) // 2, np.uint8),
    }
    parts = [field(5, tensor(name, 2, values)) for name, values in embedding.items()]
    for number, value in onnx_file._fields(onnx_file.parse(DATA).graph):
        fields = list(onnx_file._fields(value)) if number == 5 else []
        if not any((8, name.encode()) in fields for name in embedding):
            parts.append(message([(number, value)]))
    changes = {
        "network": settings("network", num_words=count + 4),
        "tokenizer": settings("tokenizer", words=count),
        "vocabulary": front_coded(words[:count]),
    }
    return edited(changes, graph=b"".join(parts))


def test_the_engine_refuses_words_that_were_chosen_to_make_it_slow(
    program: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.onnx"
    for count, says in ((5000, "to make a search slow"), (2000, "")):
        path.write_bytes(crowded(count))
        line = [*program, str(path), "-", "one"]
        run = finished(line, input="")
        assert (run.returncode > 0) == bool(says), run.stderr
        assert says in run.stderr
