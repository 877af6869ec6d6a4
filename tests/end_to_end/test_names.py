"""Files and objects that docstrings, comments and pages name are there."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("edge_lstm", "export", "engine", "tests", "tools", "benchmarks", "examples")
FILES = [
    path.relative_to(ROOT)
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.*"))
    if not {"build", "__pycache__"} & {*path.relative_to(ROOT).parts}
]
PYTHON = [path for path in FILES if path.suffix == ".py"]
PAGES = [path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]
PAGES += [path for path in FILES if path.suffix == ".md"]
C = [path for path in FILES if path.suffix in (".c", ".h")]

FILE = re.compile(r"(?<![\w/.-])(?:\.{1,2}/)*((?:[\w.-]+/)*[\w-]+\.(?:py|mjs|c|h))\b(?!\w)")
# Headers of a system, files of other projects and of an old commit, and NAME for a name.
ELSEWHERE = {"pyconfig.h", "string.h", "single/expf.c", "export/sentiment/label_products.py"}
ELSEWHERE |= {"cli/NAME.py", "tables/NAME.py"}
SYSTEM = re.compile(r"(asm|linux)/")
ROLE = re.compile(r":\w+:`~?([\w.]+)`")
OBJECT = re.compile(r"(?<![\w./`'\"-])([a-z_]+)\.([A-Za-z_]\w*)")
# Ends of names of files; and what is named like a module: a package, a variable, a key of JSON.
ENDS = "bin c csv ftz gz h h5 html int8 json jsonl log md mjs onnx pt py safetensors sh so txt"
OTHERS = {"keras", "model", "data"}


def told(path: Path) -> str:
    """What a file says to a reader: a page whole, comments and docstrings of code."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix in (".c", ".h"):
        return "\n".join(re.findall(r"/\*.*?\*/|//.*", text, re.DOTALL))
    if path.suffix != ".py":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    parts = [token.string for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            # An indented line is an example, whose variables may be named like modules.
            lines = (ast.get_docstring(node) or "").splitlines()
            parts += [line for line in lines if not line.startswith("    ")]
    return "\n".join(parts)


@cache
def defined() -> dict[str, set[str]]:
    """Module or folder → the names in it."""
    names: dict[str, set[str]] = {}
    for path in PYTHON:
        names.setdefault(path.parent.name, set()).add(path.stem)
        names.setdefault(path.parent.parent.name, set()).add(path.parent.name)
        own = names.setdefault(path.parent.name if path.stem == "__init__" else path.stem, set())
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                own.add(node.name)
            elif isinstance(node, ast.Name):
                own.add(node.id)
            elif isinstance(node, ast.Attribute):
                own.add(node.attr)
            elif isinstance(node, ast.arg):
                own.add(node.arg)
            elif isinstance(node, ast.alias):
                own.add(node.asname or node.name.rpartition(".")[2])
    return names


@pytest.mark.parametrize("path", [*PYTHON, *PAGES, *C], ids=str)
def test_the_files_that_a_file_names_are_there(path: Path) -> None:
    there = [f"/{file.as_posix()}" for file in FILES]
    for name in {*FILE.findall(told(path))} - ELSEWHERE:
        assert SYSTEM.match(name) or any(file.endswith(f"/{name}") for file in there), name


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_the_objects_that_docstrings_and_comments_name_are_there(path: Path) -> None:
    text = told(path)
    every = set().union(*defined().values())
    for name in ROLE.findall(text):
        assert name.rpartition(".")[2] in every, name
    for module, name in OBJECT.findall(text):
        if module in defined() and module not in OTHERS and name not in ENDS.split():
            assert name in defined()[module], f"{module}.{name}"
