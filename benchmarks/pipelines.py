"""Documents a second through libraries: the engine and fastText in the same pipeline, one core.

    python -m benchmarks.pipelines MODEL.onnx FASTTEXT.bin [--rows 20000] [--bytes 4000]

MODEL.onnx runs in the engine's wheel, FASTTEXT.bin in the package fasttext. The documents are made
of IMDB's reviews, with an id, in a file of JSONL that each pipeline reads; each counts the labels.
Libraries that are not installed are left out. The start of Python and the load of the model are
not counted; what a library does with the rows is.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.scoring import documents_of, write
from benchmarks.table import markdown_table

# Texts, as a list or an Arrow array → their labels.
Label = Callable[[Any], npt.NDArray[np.str_]]


def by_engine(path: str) -> Label:
    """Return the labels of the engine."""
    from edge_lstm_native import Model

    model = Model(path)
    names = np.array(model.labels)
    return lambda texts: names[np.asarray(model.scores(texts)).argmax(axis=1)]


def by_fasttext(path: str) -> Label:
    """Return the labels of fastText, which takes texts of one line."""
    import fasttext

    model = fasttext.load_model(path)

    def label(texts: Any) -> npt.NDArray[np.str_]:
        lists: Sequence[str] = texts if isinstance(texts, list) else texts.to_pylist()
        labels, _ = model.predict([text.replace("\n", " ") for text in lists])
        return np.array([each[0] for each in labels])

    return label


def alone(path: Path, label: Label) -> int:
    """A list of texts in memory, read from the file by the json module."""
    import json

    with path.open(encoding="utf-8") as file:
        return Counter(label([json.loads(line)["text"] for line in file]).tolist()).total()


def polars(path: Path, label: Label) -> int:
    """A column of a lazy frame."""
    import polars as pl

    def of(texts: Any) -> Any:
        return pl.Series(label(texts.to_arrow()))

    frame = pl.scan_ndjson(path)
    frame = frame.with_columns(label=pl.col("text").map_batches(of, return_dtype=pl.String))
    return int(frame.group_by("label").len().collect()["len"].sum())


def duckdb(path: Path, label: Label) -> int:
    """A scalar function over Arrow."""
    import duckdb as db
    import pyarrow as pa

    connection = db.connect(config={"threads": 1})
    connection.create_function(
        "label", lambda texts: pa.array(label(texts)), ["VARCHAR"], "VARCHAR", type="arrow"
    )
    sql = f"SELECT label(text) AS label, count(*) FROM read_json('{path}') GROUP BY ALL"
    return sum(count for _, count in connection.sql(sql).fetchall())


def datasets(path: Path, label: Label) -> int:
    """Dataset.map over Arrow batches."""
    import pyarrow as pa
    from datasets import load_dataset

    def add(batch: Any) -> Any:
        return batch.append_column("label", pa.array(label(batch["text"])))

    with tempfile.TemporaryDirectory() as cache:
        rows = load_dataset("json", data_files=str(path), split="train", cache_dir=cache)
        rows = rows.with_format("arrow").map(add, batched=True, load_from_cache_file=False)
        return Counter(rows.with_format(None)["label"]).total()


def datatrove(path: Path, label: Label) -> int:
    """A filter of batches of documents."""
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers import JsonlReader

    class LabelFilter(BaseFilter):  # type: ignore[misc]
        name = "label"

        def filter(self, doc: Any) -> bool:
            return self.filter_batch([doc])[0]

        def filter_batch(self, batch: list[Any]) -> list[bool]:
            return [True for _ in label([doc.text for doc in batch])]

    documents = JsonlReader(str(path.parent), glob_pattern=path.name)()
    return sum(1 for _ in LabelFilter(batch_size=256)(documents))


PIPELINES = {
    "json, a list": (alone, ()),
    "Polars": (polars, ("polars",)),
    "DuckDB": (duckdb, ("duckdb", "pyarrow")),
    "datasets": (datasets, ("datasets",)),
    "datatrove": (datatrove, ("datatrove", "orjson")),
}


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("fasttext")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    labellers = {"engine": by_engine(asked.model), "fastText": by_fasttext(asked.fasttext)}
    seconds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "docs.jsonl"
        documents = documents_of(asked.rows, asked.bytes)
        few = Path(folder) / "few" / "docs.jsonl"
        few.parent.mkdir()
        write(few, documents[:10])
        write(path, documents)
        for _ in range(asked.rounds):
            for name, (run, packages) in PIPELINES.items():
                if not all(map(importlib.util.find_spec, packages)):
                    continue
                run(few, labellers["engine"])  # its imports are not counted
                for by, label in labellers.items():
                    start = time.process_time()
                    assert run(path, label) == asked.rows
                    seconds.setdefault((name, by), []).append(time.process_time() - start)
    rows = []
    for name in dict.fromkeys(name for name, _ in seconds):
        both = [asked.rows / statistics.median(seconds[name, by]) for by in labellers]
        rows.append([name, *(f"{each:,.0f}" for each in both), f"{both[0] / both[1]:.2f}"])
    print(markdown_table(("documents per CPU second", *labellers, "engine / fastText"), rows))


if __name__ == "__main__":
    main()
