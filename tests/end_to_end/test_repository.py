"""What surrounds the code says what the code says: versions, workflows, forms, the release's own
check."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import finished

import edge_lstm
from edge_lstm.core.model_checks import OPERATORS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE = runpy.run_path(str(ROOT / "tools" / "release.py"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_its_actions_and_only_the_publishing_one_may_speak_for_the_repository(
    workflow: Path,
) -> None:
    text = workflow.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.+)$", text, re.MULTILINE)
    assert used
    for action in used:
        pinned = re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
        assert pinned or action.startswith("./.github/"), action
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)
    assert text.count("id-token: write") == (workflow.name == "release.yml")
    assert "secrets." not in text


def test_workflows_and_hooks_run_targets_that_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    texts = [workflow.read_text(encoding="utf-8") for workflow in WORKFLOWS]
    steps = [step for text in texts for step in re.findall(r"run: (.+)$", text, re.MULTILINE)]
    steps += re.findall(r"entry: (.+)$", hooks, re.MULTILINE)
    commands = [step for step in steps if step not in ("|", "bash")]
    assert len(commands) > 4
    for command in commands:
        target = re.match(r"make ([\w-]+)", command)
        assert target, f"not a make target: {command}"
        assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), command


def test_the_workflow_tests_every_python_that_the_package_is_said_to_run_on() -> None:
    said = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    tested = re.search(r'python: \[("3\.10".+)\]', workflow)
    assert tested and re.findall(r"3\.\d+", tested[1]) == said


def test_contributing_md_draws_the_rooms_that_there_are() -> None:
    drawn = finished([sys.executable, "tools/rooms.py", "--check"], cwd=ROOT)
    assert drawn.returncode == 0, drawn.stderr


WholeCheck = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def whole_check(tmp_path: Path) -> WholeCheck:
    """Runs .ci/run with this script for make."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    make = tmp_path / "make"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    def run(script: str) -> subprocess.CompletedProcess[str]:
        make.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        make.chmod(0o755)
        environment = {**os.environ, "PATH": path}
        command = [tmp_path / ".ci" / "run"]
        return finished(command, env=environment)

    return run


@pytest.mark.parametrize("skipped", ["SKIPPED [2] tests/a.py:1: no node\n", ""])
def test_the_whole_check_ends_with_its_seconds_and_the_tests_that_were_skipped(
    whole_check: WholeCheck, skipped: str
) -> None:
    done = whole_check(f"echo $PYTEST_ADDOPTS; [ $1 != pytest ] || printf '{skipped}'")
    assert done.returncode == 0 and "-rfEs" in done.stdout, done.stderr
    assert re.search(
        r"^ +\d+ s  tests\n(.*\n)* +\d+ s  in all\n\nSkipped", done.stdout, re.MULTILINE
    )
    assert done.stdout.endswith(f"\nSkipped tests, and why:\n{skipped or 'none' + chr(10)}")


@pytest.mark.parametrize(
    "target",
    ["install", "lint", "pytest", "ray-test", "avx2-test", "device-test", "docs", "outputs"],
)
def test_the_whole_check_fails_with_any_of_its_steps(whole_check: WholeCheck, target: str) -> None:
    assert whole_check(f"echo made $1; [ $1 != {target} ]").returncode != 0


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("order", ["one two", "two one", "one:two", "two:one"])
def test_make_goes_on_after_a_part_that_fails_and_ends_with_what_was_skipped(
    tmp_path: Path, fails: bool, order: str
) -> None:
    line = "SKIPPED [2] tests/a.py:1: no node"
    parts = f"one:\n\t@{'false' if fails else 'true'}\ntwo:\n\t@echo '{line}'\n"
    (tmp_path / "Makefile").write_text(parts, encoding="utf-8")
    command = [sys.executable, str(ROOT / "tools" / "parts.py"), "make", *order.split()]
    done = finished(command, cwd=tmp_path)
    assert done.returncode == fails
    assert f"\nSkipped tests, and why:\n{line}\n" in done.stdout
    assert ("\nfailed: one\n" in done.stderr) == fails
    assert done.stdout.endswith(f"\npassed: {', '.join(order.split())}\n") != fails


def test_security_md_counts_the_operators_that_a_graph_may_use() -> None:
    said = re.search(r"the (\d+) operators", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert said and int(said[1]) == sum(map(len, OPERATORS.values()))


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("edge_lstm/_version.py", '__version__ = "9.9.9"\n', "the changelog begins with"),
        ("edge_lstm/_version.py", '__version__ = "9.9"\n', "not of the form"),
        ("CHANGELOG.md", f"## {edge_lstm.__version__} (unreleased)\n", "has no date"),
        ("CITATION.cff", "version: 0.0.1\n", "CITATION.cff says version 0.0.1"),
        ("engine/js/package.json", '{"version": "0.0.1"}\n', "package.json says version 0.0.1"),
        ("pyproject.toml", "[project]\n", "no [project.urls]"),
    ],
)
def test_what_does_not_fit_together_is_not_released(
    tmp_path: Path, file: str, text: str, reason: str
) -> None:
    number = edge_lstm.__version__
    for copied in ("edge_lstm/_version.py", "engine/js/package.json", "CITATION.cff"):
        (tmp_path / copied).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / copied, tmp_path / copied)
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## {number} (2026-01-31)\n\n- All of it.\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        "[project]\n[project.urls]\nSource = 'https://example.org'\n"
    )
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert "not committed" in RELEASE["missing"](tmp_path, tag=f"v{number}")[0]
    committed = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all"]
    subprocess.run(["git", "-C", tmp_path, "add", "."], check=True)
    subprocess.run(["git", "-C", tmp_path, *committed], check=True)
    assert RELEASE["missing"](tmp_path, tag=f"v{number}") == []
    assert "the tag is v0.0.1" in RELEASE["missing"](tmp_path, tag="v0.0.1")[0]
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert any(reason in line for line in RELEASE["missing"](tmp_path))


def test_the_page_of_what_stays_lists_every_public_name() -> None:
    page = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(edge_lstm\w*)` \| (.+) \|$", page, re.MULTILINE))
    sources = {
        "edge_lstm": ROOT / "edge_lstm",
        "edge_lstm_export": ROOT / "export" / "edge_lstm_export",
        "edge_lstm_native": ROOT / "engine" / "python" / "edge_lstm_native",
    }
    assert {*rows} == {*sources}
    for name, folder in sources.items():
        source = (folder / "__init__.py").read_text(encoding="utf-8")
        public = re.search(r"^__all__ = \[(.*?)\]", source, re.MULTILINE | re.DOTALL)
        assert public, name
        listed = re.findall(r"`(\w+)`", rows[name])
        assert listed == re.findall(r'"(\w+)"', public[1]), name


def test_the_wheels_of_all_systems_are_made_of_the_sources_of_this_ones() -> None:
    built = runpy.run_path(str(ROOT / "tools" / "wheels.py"))["MODULE"]
    folder = ROOT / "engine" / "python" / "edge_lstm_native"
    assert [path.name for path in built] == sorted(path.name for path in folder.glob("*.c"))
    assert built
