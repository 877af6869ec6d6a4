"""Tables of texts in the formats people have them in: text, CSV, TSV, JSONL, Parquet, folders of
.txt.

schema.py       what an input is: where it lies, how it is read, its columns
encoding.py     what is not UTF-8: its encoding as it seems, and how to convert it
stream.py       an opened file, compressed or not → pieces of whole lines
format.py       what a format does: find columns, read rows, write rows
lines.py csv.py parquet.py folder.py   the formats (values.py: a value as text or JSON)
reader.py       all of it together: what was named → its rows
labelled.py     texts and labels
"""

from __future__ import annotations

from edge_lstm.tables.format import Row
from edge_lstm.tables.reader import Chunk, Inputs, open_inputs, read_rows
from edge_lstm.tables.schema import ReadOptions, Schema

__all__ = ["Chunk", "Inputs", "ReadOptions", "Row", "Schema", "open_inputs", "read_rows"]
