"""The golden plans: files that hold facts of data, what is asked for, and the whole plan made of them.

    python tests/export/golden_plans.py

makes the plan of every file anew, so that a changed default is a diff. A new case is a file with "facts" and
"asked" alone: the command adds its plan.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_lstm_export.train.plan import Asked, Facts, Plan, make_plan

FOLDER = Path(__file__).parent / "plans"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.json"))]


def read_case(name: str) -> dict[str, Any]:
    """Return the file's values: "facts" and "asked", fields by name, and "plan"."""
    case: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return case


def facts_and_request(case: dict[str, Any]) -> tuple[Facts, Asked]:
    """Return what a case's plan is made from."""
    facts = dict(case["facts"])
    if "sentiment" in facts:
        facts["sentiment"] = tuple(facts["sentiment"])
    return Facts(**facts), Asked(**case["asked"])


def plan_of(case: dict[str, Any]) -> Plan:
    """Make the plan of a case."""
    return make_plan(*facts_and_request(case))


def main() -> None:
    """Write the plan of every case into its file."""
    for name in NAMES:
        case = read_case(name)
        case["plan"] = plan_of(case).to_dict()
        text = json.dumps(case, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
