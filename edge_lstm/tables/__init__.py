"""Files of texts: text, CSV, TSV, JSONL, Parquet and folders of .txt.

schema.py       inputs, the options for reading them, and their columns
encoding.py     the encoding of a file that is not UTF-8, and how to convert it
stream.py       an opened file, compressed or not, as pieces of whole lines
format.py       the interface of a format: find columns, read rows, write rows
lines.py csv.py parquet.py folder.py   the formats
values.py       a value as text and as JSON
reader.py       named inputs as rows
labelled.py     texts with labels
examples.py     texts for people to try
"""

from __future__ import annotations

from edge_lstm.tables.format import Row
from edge_lstm.tables.reader import Chunk, Inputs, open_inputs, read_rows
from edge_lstm.tables.schema import ReadOptions, Schema

__all__ = ["Chunk", "Inputs", "ReadOptions", "Row", "Schema", "open_inputs", "read_rows"]
