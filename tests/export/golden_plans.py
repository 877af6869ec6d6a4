"""The golden plans: files with statistics of data, a request, and the whole plan made of them.

    python tests/export/golden_plans.py

makes the plan of every file anew, so that a changed default is a diff. A new case is a file with
"stats" and "request" alone: the command adds its plan.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_lstm_export import DatasetStats, TrainingRequest, make_plan
from edge_lstm_export.train.plan.stats import TeacherTrial

from edge_lstm.errors import DataError

FOLDER = Path(__file__).parent / "plans"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.json"))]


def read_case(name: str) -> dict[str, Any]:
    """Return the file's values: "stats" and "request", fields by name, and "plan"."""
    case: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return case


def stats_and_request(case: dict[str, Any]) -> tuple[DatasetStats, TrainingRequest]:
    """Return the statistics and the request of a case."""
    stats = dict(case["stats"])
    if "trial" in stats:
        stats["trial"] = TeacherTrial(**stats["trial"])
    return DatasetStats(**stats), TrainingRequest(**case["request"])


def plan_of(case: dict[str, Any]) -> Any:
    """Make the plan of a case: plain values, or the error of data that cannot be planned."""
    try:
        return make_plan(*stats_and_request(case)).to_dict()
    except DataError as error:
        return str(error)


def main() -> None:
    """Write the plan of every case into its file."""
    for name in NAMES:
        case = read_case(name)
        case["plan"] = plan_of(case)
        text = json.dumps(case, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
