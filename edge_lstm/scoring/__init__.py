"""Scoring: files in → files out.

- columns.py: the options of a run and the input's schema → the columns of the output
- answers.py: texts → the columns of their answers, for both engines
- worker.py: a chunk → the bytes of its rows
- pool.py: chunks over processes, in order, a bounded number at a time
- output.py: a file that gets its name when it is complete
- journal.py: the state of an unfinished run, to go on from
- files.py: all of it together
- ray.py: the same on a cluster
"""

from __future__ import annotations

from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.files import Progress, RunOptions, score_files
from edge_lstm.scoring.summary import Summary

__all__ = ["Progress", "RunOptions", "ScoreOptions", "Summary", "score_files"]
