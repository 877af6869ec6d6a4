"""Runs commands of edge-lstm one after the other in this one process: starting one takes a second
or more.

Each line of standard input is a JSON object, ``folder`` and ``arguments``; each answer one of
``code``, ``stdout`` and ``stderr``. A command has descriptors 1 and 2 of its own, as its children
have, and an empty standard input.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from edge_lstm.__main__ import main


def run(folder: str, arguments: list[str]) -> dict[str, object]:
    """One command, in the folder."""
    os.chdir(folder)
    sys.argv = ["edge-lstm", *arguments]
    code: object = 0
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, encoding="utf-8", closefd=False)
            for number, mode in enumerate("rww")
        )
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8"))
    return {"code": code, "stdout": texts[0], "stderr": texts[1]}


def serve() -> None:
    """Until standard input ends."""
    asked = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in asked:
        answers.write(json.dumps(run(**json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
