"""Files of texts in the formats people have them in: text, CSV, TSV, JSONL, Parquet, folders of .txt.

sources.py      what was named → a list of files
layout.py       the beginning of a file → its columns, its dialect, where the text is
stream.py       bytes → lines, of bounded length
inputs.py       lines → blocks of records, from any position on; rows
rows.py         a record → its text, or why there is none
"""

from __future__ import annotations

from edge_lstm.files.inputs import Block, Inputs, Position, Row, open_inputs, read_rows
from edge_lstm.files.layout import Layout, Options

__all__ = ["Block", "Inputs", "Layout", "Options", "Position", "Row", "open_inputs", "read_rows"]
