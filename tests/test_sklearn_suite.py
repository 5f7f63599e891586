"""scikit-learn's own test modules, with regfast's classes in place of its own: `pytest -m sklearn_suite`, some minutes.

docs/migrating.md says which tests are not run and which have to fail, and tests/sklearn_swap.py how that is done.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sklearn

pytestmark = [
    pytest.mark.sklearn_suite,
    pytest.mark.skipif(not sklearn.__version__.startswith("1.9."), reason="the tables are those of scikit-learn 1.9"),
]
PACKAGE = Path(sklearn.__file__).parent
MODULES = ["linear_model/tests/test_coordinate_descent.py", "linear_model/tests/test_sparse_coordinate_descent.py",
           "linear_model/tests/test_ridge.py", "linear_model/tests/test_logistic.py",
           "linear_model/_glm/tests/test_glm.py"]  # fmt: skip
SHARE = 0.97


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of the tests of every module."""
    found, folder = {}, tmp_path_factory.mktemp("suite")
    for module in MODULES:
        if not (PACKAGE / module).exists():
            pytest.skip(f"scikit-learn is installed without {module}: install a build with its tests")
        told = folder / "counts.json"
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "SKLEARN_WARNINGS_AS_ERRORS": "1",
                                    "SKLEARN_SWAP_COUNTS": str(told)}
        run = subprocess.run(
            [sys.executable, "-P", "-m", "pytest", "-p", "sklearn_swap", "-p", "no:cacheprovider", "-q", "--tb=short",
             "-W", "ignore:Passing a non-Collection", f"--rootdir={PACKAGE.parent}", str(PACKAGE / module)],
            env=environment, cwd=folder, capture_output=True, text=True)  # fmt: skip
        assert run.returncode in (0, 1), run.stdout[-3000:] + run.stderr[-3000:]
        found[module] = json.loads(told.read_text(encoding="utf-8")) | {"output": run.stdout}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_test_passes_or_is_in_the_tables(counts: dict[str, dict[str, Any]], module: str) -> None:
    assert not counts[module]["failed"], counts[module]["output"][-5000:]
    assert counts[module]["passed"]


def test_most_of_them_pass(counts: dict[str, dict[str, Any]]) -> None:
    passed, different = (sum(one[kind] for one in counts.values()) for kind in ("passed", "different"))
    print({module: {kind: one[kind] for kind in ("passed", "different", "skipped", "not run")}
           for module, one in counts.items()})
    assert passed >= SHARE * (passed + different)
