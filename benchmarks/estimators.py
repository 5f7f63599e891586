"""Estimators beside scikit-learn's of the same name, at the default `tol` and at 1e-8: a table in Markdown.

    python benchmarks/estimators.py [NAME ...] [--repeat 5]

NAME picks rows that contain it. One thread; data that scikit-learn ships, standardised, or a seeded generator makes.
A fit counts with the shortest of a few runs. Ratios above 1: regfast took less time. What scikit-learn's default
tolerance leaves is not regfast's aim: its estimators go on to a duality gap of 1e-14 or so.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn.linear_model as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.preprocessing import StandardScaler

import regfast

LONG = 2.0  # seconds after which a run is not repeated
Fit = Callable[[Any, float], Any]


def dense(n: int, p: int, classes: int = 0) -> tuple[Any, Any]:
    """Independent columns, a fifth of which matter; a number, a vector of numbers, or labels for a response."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    eta = X @ (rng.standard_normal((p, max(classes, 1))) * (rng.random((p, 1)) < 0.2))
    return X, (eta + rng.gumbel(size=eta.shape)).argmax(axis=1) if classes else eta[:, 0] + rng.standard_normal(n)


def sparse(n: int, p: int, density: float) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = sp.random_array((n, p), density=density, rng=rng, format="csr")
    eta = X @ (rng.standard_normal(p) * (rng.random(p) < 0.02))
    return X, eta / eta.std() + rng.standard_normal(n)


def rows() -> Iterator[tuple[str, Any, Any, Fit]]:
    """(name, X, y, fit) of everything that is timed."""
    many: Any = {"max_iter": 100_000}
    squared = {"diabetes": load_diabetes(return_X_y=True), "1000 × 50": dense(1000, 50), "200 × 2000": dense(200, 2000),
               "10000 × 2000 CSR": sparse(10000, 2000, 0.01)}
    for name, (X, y) in squared.items():
        yield f"Lasso, {name}", X, y, lambda m, tol: m.Lasso(alpha=0.05, tol=tol, **many)
        yield f"LassoCV, {name}", X, y, lambda m, tol: m.LassoCV(tol=tol, **many)
        yield f"Ridge, {name}", X, y, lambda m, tol: m.Ridge(tol=tol)
        if not sp.issparse(X):
            yield f"RidgeCV, {name}", X, y, lambda m, tol: m.RidgeCV(np.geomspace(1e-3, 1e3, 20))
    labels = {"breast cancer": load_breast_cancer(return_X_y=True), "iris": load_iris(return_X_y=True),
              "digits": load_digits(return_X_y=True), "5000 × 200": dense(5000, 200, 2),
              "20000 × 50, 5 classes": dense(20000, 50, 5)}
    for name, (X, y) in labels.items():
        X = StandardScaler().fit_transform(X)
        yield f"LogisticRegression, {name}", X, y, lambda m, tol: m.LogisticRegression(tol=tol, max_iter=10_000)
        yield (f"LogisticRegression, L1, {name}", X, y, lambda m, tol: m.LogisticRegression(
            l1_ratio=1, C=0.1, solver="saga", tol=tol, max_iter=10_000))
        if name != "20000 × 50, 5 classes":
            yield (f"LogisticRegressionCV, {name}", X, y, lambda m, tol: m.LogisticRegressionCV(
                tol=tol, max_iter=10_000, use_legacy_attributes=False, scoring="neg_log_loss"))
    X, y = dense(1000, 50)
    Y = np.column_stack([y, np.roll(X, 1, axis=1)[:, :2] @ [[1, 2], [0, 1]]])
    yield "MultiTaskLasso, 1000 × 50, 3 responses", X, Y, lambda m, tol: m.MultiTaskLasso(0.1, tol=tol)
    yield "MultiTaskLassoCV, 1000 × 50, 3 responses", X, Y, lambda m, tol: m.MultiTaskLassoCV(tol=tol)
    counts = np.random.default_rng(0).poisson(np.exp(y / y.std() / 2))
    yield "PoissonRegressor, 1000 × 50", X, counts, lambda m, tol: m.PoissonRegressor(tol=tol, max_iter=1000)


def seconds(fit: Fit, module: Any, tol: float, X: Any, y: Any, repeat: int) -> float:
    """The shortest of a few fits."""
    best = np.inf
    for _ in range(repeat):
        model = fit(module, tol)
        began = time.perf_counter()
        model.fit(X, y)
        best = min(best, time.perf_counter() - began)
        if best > LONG:
            break
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of max_iter: the ratio at the tighter tolerance tells
    print("| | scikit-learn, ms | regfast, ms | ratio | scikit-learn at tol=1e-8, ms | regfast, ms | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, X, y, fit in rows():
        if options.names and not any(part in name for part in options.names):
            continue
        cells = []
        for tol in (1e-4, 1e-8):
            a, b = (1e3 * seconds(fit, module, tol, X, y, options.repeat) for module in (theirs, regfast))
            cells += [f"{a:.3g}", f"{b:.3g}", f"{a / b:.2g}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
