"""Hostile cases for latency, evaluate, predict, explain, inspect and doctor: odd options, files,
places.

Each row is a command, the condition it meets, how it ends, and what may be on the disk
afterwards (see ``hostile.cases``). Closed and full streams are in ``test_hostile_streams.py``,
model files in ``test_hostile_models.py``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest
from hostile import Case, both, cases, check, put
from model_files import SMALL

QUICK = f"latency -m {shlex.quote(str(SMALL))} --runs 20 --cold-starts 0"
TEXTS = put("text.csv", "text,label\nA fine film.,pos\nA dull film.,neg\n")


def model(folder: Path) -> None:
    shutil.copy(SMALL, folder / "m.onnx")


def device(folder: Path) -> None:
    """A device of our own: nobody's /dev/null is in danger."""
    try:
        os.mknod(folder / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (folder / "null").write_bytes(b"")
    except OSError:
        pytest.skip("making a device takes root, on a file system with devices")


def locked(folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    if os.access(folder / "locked", os.W_OK):
        pytest.skip("root may write everywhere")


LATENCY = cases(
    r"""
    no time | --duration=-1 | must be above 0
    a time above a month | --duration 2592001 | at most 2,592,000
    a time that is no number | --duration nan | at most 2,592,000
    a million threads | --threads 1,1000001 | from 1 to 1,024
    a batch of nothing | --batch-size 0 | whole numbers
    batches without a common multiple | --batch-size 7,64,121 | divide each other
    batches of which a block holds too many texts | --batch-size 2049 | divide each other
    no engine | --engine "" | engine
    an unknown provider | --engine onnxruntime,onnxruntime:Abacus | ABACUS
    runs below zero | --runs=-5 | exit 2
    a model that is a link in a ring | -m ring | ring | ring -> ring
    a model that is not there | -m no.onnx | no model file at no.onnx
    a folder as model | -m . | folder
    no texts | --texts e.txt | no texts | e.txt:
    no such format | --texts e.odf | suffix does not say | e.odf: a
    no such column | --texts t.csv --text-column no | no | t.csv: text\na
    texts from a folder without any | --texts . | .
    two outputs of one name | --output x --report x | one file
    a report | --report r.html | exit 0 | leaves r.html
    a name that is not UTF-8 | --output r\xff.json | exit 0 | leaves r\xff.json
    a name with a line end | --output "a\nb.json" | exit 0 | leaves a\nb.json
    """,
    before=QUICK,
)
LATENCY += cases(
    """
    a model and a link to it | -m m.onnx -m link.onnx | exit 0 | link.onnx -> m.onnx
    the result over its model | -m m.onnx --output m.onnx | one of the inputs
    """,
    before=QUICK,
    given=model,
)

EVALUATE = cases(
    r"""
    foreign texts that are not there | text.csv --foreign none.txt | none.txt
    no foreign texts | text.csv --foreign e.txt | e.txt | e.txt:
    foreign texts that are labelled ones | text.csv --foreign f.txt
        | 1 of the 2 foreign texts are labelled texts | f.txt: A FINE FILM.\nanother
    no such file | no.csv | no.csv
    no such model | text.csv -m no.onnx | no model file
    mistakes that are no CSV | text.csv --mistakes m.xlsx | give a name that ends in .csv
    the mistakes over the texts | text.csv --mistakes text.csv | one of the inputs
    """,
    before="evaluate",
    given=TEXTS,
)
EVALUATE += cases(
    r"""
    no labels | t.txt | label | t.txt: a film\n
    labels the model does not know | t.csv | has neg, pos | t.csv: text,label\na,1\nb,0\n
    no rows | t.csv | t.csv | t.csv: text,label\n
    """,
    before="evaluate",
)
EVALUATE += cases(
    """
    a model twice | text.csv -m m.onnx -m link.onnx | exit 0 | link.onnx -> m.onnx
    a model and no data | m.onnx | names a model file; put -m before it
    mistakes of two models | t.csv -m m.onnx -m m.onnx --mistakes m.csv | for one model; name one
    """,
    before="evaluate",
    given=both(model, TEXTS),
)

OTHERS = cases(
    rf"""
    a share of a file without a curve | evaluate text.csv -m '{SMALL}' --abstain 0.1 | or give --thr
        | text.csv: text,label\nA fine film.,pos\n
    a share of a file without a curve | predict -m '{SMALL}' --abstain 0.02 x | or give --thr
    an empty name of a model | predict -m "" x | .
    a text that looks like an option | predict -- --help | exit 0
    a model that is not there | predict -m no.onnx x | no model file at no.onnx
    a provider that is not there | predict --engine onnxruntime:CUDA x | available: CPU
    an empty text | predict "" | exit 0
    a share that is no number | predict --abstain nan x | for 2 %, give 0.02
    a model in the place of a text | predict '{SMALL}' x | names a model file; put -m before it
    a model behind a flag | predict --json '{SMALL}' x | names a model file; put -m before it
    a model with the option's whole name | predict --model='{SMALL}' x | exit 0
    a model as inspect's argument and its option | inspect '{SMALL}' -m x.onnx | give one
    a model as doctor's argument and its option | doctor '{SMALL}' -m x.onnx | give one
    a model that is served twice | serve '{SMALL}' -m '{SMALL}' | give each its own
    a model as an argument that is not there | inspect no.onnx | no model file at no.onnx
    a model in the place of rows | score '{SMALL}' | names a model file; put -m before it
    a long text that ends as a model's name does | predict "{"good film " * 500}.onnx" | exit 0
    two thresholds | predict --abstain 0.02 --threshold 0.5 x | exclude each other
    a name of 5,000 letters | predict -m {"a" * 5000} x | long
    no such label | explain x --label nice | no label 'nice'; its labels are neg, pos
    a label in the wrong case | explain x --label Pos | neg, pos; did you mean 'pos'?
    a format with two letters exchanged | evaluate t --input-format cvs | did you mean 'csv'?
    a column in the wrong case | evaluate t.csv --label-column QUEUE
        | its columns are 'Queue', 'text'; did you mean 'Queue'? | t.csv: text,Queue\na,pos\n
    a column with a letter too few | score t.csv --text-column tex | did you mean 'text'?
        | t.csv: text,Queue\na,pos\n
    no words | explain ... | exit 0
    a checkpoint that is not there | inspect -m no.safetensors | no.safetensors
    a checkpoint of zeros | inspect -m z.safetensors | z.safe | z.safetensors: \0\0\0\0\0\0\0\0\0
    a link in a ring | inspect -m ring | ring | ring -> ring
    a name with a line end | inspect -m "a\nb.onnx" | a\\nb.onnx
    a time of -1 | doctor --timeout=-1 | exit 1,2: --timeout
    a time of nan | doctor --timeout=nan | exit 1,2: --timeout
    """
)
INPUT = [
    case
    for name, data in (
        ("zero bytes", b"\0\0\n"),
        ("ten megabytes without a line end", b"good film " * 1_000_000),
    )
    for case in cases(f"{name} on standard input | predict | exit 0", stdin=data)
]

OUTPUTS = [
    case
    for command in (f"{QUICK} --output", f"{QUICK} --report")
    for case in [
        *cases(
            """
            no folder | no/such/x | cannot write
            a folder | . | folder
            standard output | - | or /dev/stdout
            a file as folder | text.csv/x | cannot write
            a link | out | exit 0 | changes out | precious: precious | out -> precious
            """,
            before=command,
            given=TEXTS,
        ),
        *cases(
            "a folder that is locked | locked/x | permission",
            before=command,
            given=both(TEXTS, locked),
        ),
        *cases("a device | null | exit 0", before=command, given=both(TEXTS, device)),
    ]
]

PLACES = cases(
    rf"""
    latency: -o /dev/stdout | $ $EL {QUICK} -o /dev/stdout |cat >r | exit 0 | leaves r
    latency: no core, no file larger than a block
        | $ ulimit -f 1; $EL {QUICK} -o r.json | no space
    a working folder that is gone
        | $ mkdir q; cd q; rmdir ../q; $EL {QUICK} <&- 2>&- | exit 0
    """,
    given=TEXTS,
)
PLACES += cases(
    f"""
    latency: ASCII | $ $EL {QUICK} | exit 0: per text, ms
    evaluate: ASCII, a name with letters that it lacks
        | $ mv t.csv tü.csv; $EL evaluate tü.csv | exit 0: \\\\u00fc
        | t.csv: text,label\\nA fine film.,pos\\n | changes t.csv | leaves tü.csv
    """,
    environment={"PYTHONIOENCODING": "ascii"},
)
# Root too is asked for permission, without the capabilities that are taken here.
UNPRIVILEGED = (
    "run=; capabilities=-dac_override,-dac_read_search; "
    '[ $UID != 0 ] || run="setpriv --bounding-set=$capabilities"; '
    "chmod 0 m.onnx; $run $EL {}; code=$?; chmod 644 m.onnx; exit $code"
)
PLACES += [
    Case(
        name=f"a model without permission: {line}",
        given=model,
        says="ermission denied",
        shell=UNPRIVILEGED.format(line),
    )
    for line in (
        "predict -m m.onnx hi",
        "inspect -m m.onnx",
        "page -m m.onnx -o p.html",
        "evaluate t -m m.onnx",
    )
]


@pytest.mark.parametrize("case", [*LATENCY, *EVALUATE, *OTHERS, *INPUT, *OUTPUTS, *PLACES], ids=str)
def test_commands(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(case, tmp_path, monkeypatch)
