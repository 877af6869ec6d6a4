"""Files of texts in the formats people have them in: text, CSV, TSV, JSONL, Parquet, folders of .txt.

sources.py      what was named → a list of files
schema.py       the beginning of a file → its columns, its dialect, where the text is
stream.py       an opened file → its bytes, decompressed
blocks.py       bytes → blocks of whole records, from any position on
records.py      a block → its records and where their texts lie, all at once
csv.py          the same line by line, and how fields are written
rows.py         a record → its text, or why there is none
reader.py       all of it together; rows, for whoever wants just those
"""

from __future__ import annotations

from edge_lstm.tables.blocks import Block, Position
from edge_lstm.tables.reader import Inputs, Row, open_inputs, read_rows
from edge_lstm.tables.schema import ReadOptions, Schema

__all__ = ["Block", "Inputs", "Position", "ReadOptions", "Row", "Schema", "open_inputs", "read_rows"]
