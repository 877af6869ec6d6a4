"""Scoring: files in → files out, rows in → rows out.

plan.py           choices and the input's layout → the columns of the output
job.py            what a worker process is given, gives back and runs
worker.py         a block → the bytes of its rows (answers.py, encoders.py, table_encoder.py)
runner.py         blocks over processes, in order, bounded
output.py         the file under its name only when complete; journal.py: going on after an interruption
batch.py          all of it together; rows.py: the same for a program's own rows
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_lstm.scoring.batch import Progress, score_files
from edge_lstm.scoring.plan import Choices
from edge_lstm.scoring.summary import Summary

if TYPE_CHECKING:
    from edge_lstm.scoring.rows import score

__all__ = ["Choices", "Progress", "Summary", "score", "score_files"]


def __getattr__(name: str) -> Any:
    # It runs the model in this process; the parent of workers need not load ONNX Runtime.
    if name != "score":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edge_lstm.scoring.rows import score

    return score
