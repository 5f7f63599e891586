"""Ctrl-C: heard within about a second, carrying the path so far, and the process can go on."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from regfast import fit_cv, fit_path
from regfast.multinomial import Softmax
from regfast.path import prepare

GUARD = 5  # seconds after the signal at which a child that has not stopped counts as hung

# Each child fits something that takes far longer than a test may, is sent SIGINT while inside, and reports.
CHILD = """
import faulthandler, json, os, signal, sys, threading, warnings
import numpy as np, scipy.sparse as sp
import regfast
from regfast import fit_cv, fit_path  # modules come when a name is touched: not in the half second before the signal
{imports}

rng = np.random.default_rng(0)
X = {storage}(rng.standard_normal((1500, 3000)) + 3 * rng.standard_normal((1500, 1)))
y = rng.standard_normal(1500)
begun = threading.Event()

def interrupt():
    begun.wait()
    faulthandler.dump_traceback_later({guard}, exit=True)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
{setup}
try:
    {call}
except KeyboardInterrupt as error:
    faulthandler.cancel_dump_traceback_later()
    path = error.partial
else:
    sys.exit("it ran to its end")
again = regfast.fit_path(X[:, :20], y, n_alphas=5)
print(json.dumps({{
    "type": type(path).__name__, "alphas": len(path), "gaps": path.gaps.tolist(), "tol": path.tol,
    "status": path.status.tolist(), "path_status": path.path_status, "coefs": list(path.coefs.shape),
    "finite": bool(np.isfinite(path.coefs.data).all()), "again": again.status.tolist(),
    "flags": bool(signal.getsignal(signal.SIGINT) is signal.default_int_handler)}}))
"""
SOON = "threading.Timer(0.5, begun.set).start()"  # well inside what follows
AT_THE_THIRD = "tell = lambda done, total: begun.set() if done == 3 else None"


def interrupted(call: str, storage: str = "np.asfortranarray", setup: str = SOON) -> dict[str, Any]:
    """What a child has to say after its Ctrl-C."""
    imports = "import sklearn.model_selection" if "fit_cv" in call else ""  # it takes a while
    program = CHILD.format(call=call, storage=storage, guard=GUARD, setup=setup, imports=imports)
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def check(report: dict[str, Any], asked: int) -> None:
    assert report["type"] == "Path"
    assert report["alphas"] < asked
    assert report["coefs"] == [3000, report["alphas"]]
    assert len(report["gaps"]) == len(report["status"]) == report["alphas"]
    assert report["status"] == ["converged"] * report["alphas"]
    assert all(gap <= report["tol"] for gap in report["gaps"])
    assert report["path_status"] == "interrupted"
    assert report["finite"]
    assert report["again"] == ["converged"] * 5
    assert report["flags"]


LONG = "regfast.fit_path(X, y, n_alphas=2000, eps=1e-4, tol=1e-10, early_stop=False"


@pytest.mark.parametrize("storage", ["np.asfortranarray", "np.ascontiguousarray", "sp.csr_array", "sp.csc_array"])
def test_a_long_path(storage: str) -> None:
    check(interrupted(f"{LONG})", storage), 2000)


def test_a_long_path_that_tells_how_far_it_is() -> None:
    """Python runs between two alphas, and may be what the signal finds."""
    report = interrupted(f"{LONG}, progress=tell)", setup=AT_THE_THIRD)
    check(report, 2000)
    assert report["alphas"] >= 3


def test_one_hard_alpha() -> None:
    """A single α that descends for long: nothing is solved yet, and the path so far is empty."""
    call = "regfast.fit_path(X, y, alphas=[1e-6], l1_ratio=1e-3, tol=1e-15, max_iter=10**9, standardize=False)"
    report = interrupted(call)
    assert report["alphas"] == 0
    check(report, 1)


@pytest.mark.parametrize("storage", ["np.asfortranarray", "sp.csr_array"])
def test_ridge_by_products(storage: str) -> None:
    """All strengths are solved together: nothing is solved yet."""
    call = "regfast.fit_path(X, y, l1_ratio=0, alphas=np.geomspace(1, 1e-12, 300), tol=1e-15, standardize=False)"
    slow = f"import regfast.ridge; regfast.ridge.DIRECT = 0; X = {storage}(X * np.geomspace(1, 1e-4, 3000))"
    report = interrupted(call, storage, setup=f"{slow}; {SOON}")
    assert report["alphas"] == 0
    check(report, 300)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validation(n_jobs: int) -> None:
    call = f"regfast.fit_cv(X, y, cv=5, n_alphas=2000, eps=1e-4, tol=1e-10, early_stop=False, n_jobs={n_jobs})"
    check(interrupted(call), 2000)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_folds_of_a_cross_validation(n_jobs: int) -> None:
    """In the folds, where with several jobs the work is in threads that no signal reaches."""
    folds = "[(np.arange(1400), np.arange(1400, 1500))] * 1000"
    call = f"regfast.fit_cv(X, y, cv={folds}, alphas=np.geomspace(0.3, 0.05, 8), n_jobs={n_jobs}, progress=tell)"
    report = interrupted(call, setup="tell = lambda done, total: begun.set()")
    assert report["path_status"] in ("interrupted", "complete")  # the full fit was done, or a fold's path was cut
    assert all(gap <= report["tol"] for gap in report["gaps"])
    assert report["again"] == ["converged"] * 5


HEARD = """
def heard(fit):
    try:
        fit()
    except KeyboardInterrupt as error:
        error.partial = regfast.fit_path(X[:, :3], y, alphas=[1e-3])
        raise
regfast.{estimator}
threading.Timer(0.5, begun.set).start()
"""


@pytest.mark.parametrize(("estimator", "response"), [
    ("LassoCV(alphas=2000, eps=1e-4, n_jobs=2)", "y"), ("LogisticRegressionCV(Cs=200, l1_ratios=(1,))", "(y > 0)")])
def test_estimators_with_cross_validation(estimator: str, response: str) -> None:
    """They have no path to hand over, but are heard all the same."""
    call = f"heard(lambda: regfast.{estimator}.fit(X, {response}))"
    report = interrupted(call, setup=HEARD.format(estimator=estimator.split("(")[0]))
    assert report["alphas"] == 1
    assert report["again"] == ["converged"] * 5


# ---- without a signal: an interrupt that Python code raises on the way


def test_an_interrupt_in_the_progress_callable_keeps_the_path_so_far() -> None:
    """A Ctrl-C may just as well arrive while Python draws the bar."""
    X = np.random.default_rng(0).standard_normal((50, 20))

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit_path(X, X[:, 0], n_alphas=9, progress=interrupt, early_stop=False)
    path = vars(caught.value)["partial"]
    assert path is not None
    assert len(path) == 3
    assert path.path_status == "interrupted"
    whole = fit_path(X, X[:, 0], n_alphas=9, early_stop=False)
    np.testing.assert_array_equal(path.coefs.toarray(), whole.coefs.toarray()[:, :3])


def test_an_interrupt_in_the_progress_of_a_cross_validation_carries_a_path() -> None:
    X = np.random.default_rng(0).standard_normal((50, 20))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for n_jobs in (1, 2):
        with pytest.raises(KeyboardInterrupt) as caught:
            fit_cv(X, X[:, 0] + X[:, 1] ** 2, cv=4, n_alphas=9, n_jobs=n_jobs, progress=interrupt)
        assert len(vars(caught.value)["partial"])


def test_an_interrupt_in_the_null_model_of_several_classes_is_heard() -> None:
    """Free columns make work there; the flag is what Ctrl-C raises for worker threads."""
    X = np.random.default_rng(0).standard_normal((200, 400))
    problem = prepare(X, np.arange(200) % 3, family="multinomial", penalty_factors=np.arange(400) >= 100)
    with pytest.raises(KeyboardInterrupt):
        Softmax(problem, np.ones(1, dtype=np.int32)).start()
