"""A pytest plugin for scikit-learn's own tests: regfast's classes under scikit-learn's names (see test_sklearn_suite).

docs/migrating.md says which tests are not run, and which are known to fail: these have to fail.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import sklearn.linear_model as theirs

import regfast

TABLES = Path(__file__).resolve().parents[1] / "docs" / "migrating.md"
NAMES = ("Lasso", "ElasticNet", "Ridge", "LogisticRegression", "PoissonRegressor", "GammaRegressor", "TweedieRegressor",
         "MultiTaskLasso", "MultiTaskElasticNet", "RidgeClassifier", "LassoCV", "ElasticNetCV", "RidgeCV",
         "LogisticRegressionCV", "MultiTaskLassoCV", "MultiTaskElasticNetCV", "RidgeClassifierCV", "lasso_path",
         "enet_path")

for name in NAMES:  # before the tests import them
    original, ours = getattr(theirs, name), getattr(regfast, name)
    setattr(theirs, name, ours)
    if hasattr(original, "_get_loss"):  # with which the tests of GLMs make data and objectives
        ours._get_loss = original._get_loss


def rows(heading: str) -> list[tuple[str, str]]:
    """(tests, reason) of the table below a heading; tests are `file.py::name` or `file.py::name[*part*]`."""
    part = TABLES.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n##")[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", part, re.MULTILINE)


def means(pattern: str, item: pytest.Item) -> bool:
    wanted = pattern if "[" in pattern else pattern + "*"
    name = f"{item.path.name}::{item.name}"
    whole = "[" in pattern or name.split("[")[0] == pattern
    return whole and re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), name) is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    files, unused, dropped = {item.path.name for item in items}, [], []
    for pattern, _ in rows("Not run"):
        found = [item for item in items if means(pattern, item)]
        dropped += found
        items[:] = [item for item in items if item not in found]
        unused += [] if found or pattern.split("::")[0] not in files else [pattern]
    for pattern, reason in rows("Differences"):
        found = [item for item in items if means(pattern, item)]
        for item in found:
            item.add_marker(pytest.mark.xfail(reason=f"regfast: {reason}", strict=True))
        unused += [] if found or pattern.split("::")[0] not in files else [pattern]
    if unused:
        raise pytest.UsageError(f"{TABLES.name} names tests that are not there: {unused}")
    config.hook.pytest_deselected(items=dropped)
    COUNTS["not run"] = len(dropped)


COUNTS: dict[str, Any] = {"passed": 0, "different": 0, "skipped": 0, "not run": 0, "failed": []}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        COUNTS["failed"].append(report.nodeid)
    elif report.skipped:
        different = getattr(report, "wasxfail", "").startswith("regfast")
        COUNTS["different" if different else "skipped"] += 1
    elif report.when == "call":
        COUNTS["passed"] += 1


def pytest_sessionfinish() -> None:
    if "SKLEARN_SWAP_COUNTS" in os.environ:
        Path(os.environ["SKLEARN_SWAP_COUNTS"]).write_text(json.dumps(COUNTS), encoding="utf-8")
