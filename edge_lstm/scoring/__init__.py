"""Scoring: files in → files out, rows in → rows out.

columns.py        what is asked for and the input's schema → the columns of the output worker.py
a chunk → the bytes of its rows pool.py           chunks over processes, in order, bounded output.py
the file under its name only when complete; journal.py: going on after an interruption files.py
all of it together; rows.py: the same for a program's own rows; ray.py: for a cluster
"""

from __future__ import annotations

from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.files import Progress, RunOptions, score_files
from edge_lstm.scoring.summary import Summary

__all__ = ["Progress", "RunOptions", "ScoreOptions", "Summary", "score_files"]
