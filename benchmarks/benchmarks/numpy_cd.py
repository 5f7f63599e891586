"""The algorithm of `regfast.reference`, with the loop over the rows done by NumPy: what good Python reaches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from regfast.reference import CHECK_EVERY, soft_threshold

Float = NDArray[np.float64]


class Fit(NamedTuple):
    coef: Float
    intercept: float
    gap: float
    epochs: int


def lasso_path(X: Any, y: Float, alphas: Iterable[float], tol: float = 1e-4, max_epochs: int = 10_000) -> list[Fit]:
    """min_{b0,b} ‖y − b0 − Xb‖² / 2n + α‖b‖₁ by cyclic coordinate descent with warm starts, for each α in turn.

    The updates, their order and the stopping rule are those of `regfast.reference.path`; so are the numbers of epochs.
    """
    X = X.tocsc() if sp.issparse(X) else np.asfortranarray(X)
    level, total = y.mean(), y.var() / 2
    columns = columns_of(X)
    b, fits = np.zeros(len(columns)), list[Fit]()
    for alpha in alphas:
        epochs = 0
        while True:
            errors = y - level - X @ b  # afresh, so that rounding cannot pile up
            intercept = errors.mean()
            residual = errors - intercept
            gap = duality_gap(X, b, residual, alpha) / total
            if gap <= tol or epochs >= max_epochs:
                break
            for _ in range(CHECK_EVERY):
                intercept = sweep(columns, b, errors, intercept, alpha)
            epochs += CHECK_EVERY
        fits.append(Fit(b.copy(), float(level + intercept), float(gap), epochs))
    return fits


def columns_of(X: Any) -> list[tuple[Any, Float, float, float]]:
    """Where each column is stored, its entries there, its mean and its variance."""
    n = X.shape[0]
    if not sp.issparse(X):
        return [(slice(None), x, float(x.mean()), float(x.var())) for x in X.T]
    columns = []
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        x = X.data[start:stop]
        mean = float(x.sum()) / n
        spread = x - mean
        variance = float(spread @ spread) / n + (1 - len(x) / n) * mean * mean
        columns.append((X.indices[start:stop], x, mean, variance))
    return columns


def sweep(columns: list[tuple[Any, Float, float, float]], b: Float, errors: Float, intercept: float,
          alpha: float) -> float:
    """One exact update of every coefficient in turn; `b` and `errors` are changed, the new intercept returned."""
    n = len(errors)
    for j, (at, x, mean, variance) in enumerate(columns):
        if variance:
            slope = (errors[at] @ x) / n - intercept * mean
            step = soft_threshold(slope + variance * b[j], alpha) / variance - b[j]
            if step:
                b[j] += step
                intercept -= step * mean
                errors[at] -= step * x
    return intercept


def duality_gap(X: Any, b: Float, residual: Float, alpha: float) -> float:
    """Primal minus dual at the residual, scaled until it is feasible."""
    n = len(residual)
    c = X.T @ residual / n
    scale = min(1.0, alpha / max(np.abs(c).max(), 1e-300))
    return (1 - scale) ** 2 * (residual @ residual) / (2 * n) + alpha * np.abs(b).sum() - scale * (c @ b)
