"""What the folds' models lose on the rows that they did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .folds import Fold
from .held import Held
from .predictor import linear_predictor
from .problem import Problem
from .result import Path
from .scoring import Scorer
from .validation import Float


def grade(fold: Path, problem: Problem, test: NDArray[np.intp], shift: Float, score: Scorer, held: Held | None) -> Any:
    """The score of every α on the rows that a fold held out; `held` says it of squared error without reading them."""
    losses = unread(fold, test, held)
    if losses is not None:
        return losses
    eta = fold.linear(problem.data.X[test])
    return [score(test, eta[:, a] + shift) for a in range(len(fold))]


def unread(fold: Path, test: NDArray[np.intp], held: Held | None) -> Float | None:
    """Mean squared errors of every α on some rows by their moments, if they are those of `held` and it can tell."""
    if held is None or not np.array_equal(held.rows, np.sort(test)):
        return None
    return held.losses(fold.coefs, fold.intercepts)


def predict_held_out(paths: list[Path], folds: list[Fold], problem: Problem, shift: Float, at: int) -> Float:
    """The mean of every row at one α, by the fold that held it out; one product with X for all folds."""
    found = [(fold.coef_at(fold.alphas[at]), fold.intercept_at(fold.alphas[at])) for fold in paths]
    b = sp.csc_array(np.vstack([np.atleast_2d(coef) for coef, _ in found]).T)
    eta = linear_predictor(problem.data.X, b, np.concatenate([np.atleast_1d(b0) for _, b0 in found]))
    eta = eta.reshape(len(eta), len(folds), -1)
    out = np.full(shift.shape, np.nan)
    for k, (_, test) in enumerate(folds):
        out[test] = problem.family.inverse(eta[test, k].reshape(shift[test].shape) + shift[test])
    return out


def summary(scores: Float, weight: Float, scoring: Any) -> tuple[Float, Float]:
    """Mean over the folds and its standard error; ∞ where a fold is predicted infinitely badly."""
    k = np.flatnonzero(np.isnan(scores).any(axis=1))
    if k.size:
        raise ValueError(f"scoring={scoring!r} is not defined on the rows held out in fold {k[0]}: got NaN; want "
                         "another scoring, or folds that are larger or hold every class")
    with np.errstate(over="ignore"):  # what a log link predicts far away has no bounds
        mean = np.average(scores, axis=0, weights=weight)
        whole = np.isfinite(mean)
        if not whole.any():
            raise ValueError("cv: no alpha predicts the rows held out with a finite score")
        se = np.full_like(mean, np.inf)
        spread = np.average((scores[:, whole] - mean[whole]) ** 2, axis=0, weights=weight)
        se[whole] = np.sqrt(spread / (len(scores) - 1))
    return mean, se
