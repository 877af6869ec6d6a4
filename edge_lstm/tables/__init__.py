"""Tables of texts in the formats people have them in: text, CSV, TSV, JSONL, Parquet, folders of .txt.

sources.py         what was named → a list of inputs
schema.py          what an input is: where it lies, how it is read, its columns (columns.py)
stream.py          an opened file → its bytes, decompressed (compression.py)
format.py          what a format does: schema, blocks, read, write; formats.py: all of them
lines.py           text, and what all formats of lines share (blocks.py: where blocks end)
csv.py jsonl.py    (dialect.py: the rules of CSV)
parquet.py         (arrow_values.py: Arrow's types)
folder.py
records.py         rows, read (values.py: a value as text or JSON)
reader.py          all of it together; rows, for whoever wants just those
labelled.py        texts and labels
"""

from __future__ import annotations

from edge_lstm.tables.blocks import Block, Position
from edge_lstm.tables.reader import Inputs, open_inputs, read_rows
from edge_lstm.tables.records import Row
from edge_lstm.tables.schema import ReadOptions, Schema

__all__ = ["Block", "Inputs", "Position", "ReadOptions", "Row", "Schema", "open_inputs", "read_rows"]
