"""Proof for any coefficients, whoever found them."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from . import validation as check
from .dropout import Dropped
from .dropped_classes import DroppedPairs
from .duality import Weighed, weigh
from .path import predictors, prepare
from .predictor import linear_predictor
from .problem import EPS, Problem, correlation_matrix, start
from .validation import Float

Indices = NDArray[np.intp]
UNDECIDED_LIMIT = 5000
"""The support is proved non-zero through a Gram of the columns left over; beyond this many it is not attempted."""


class Certificate(NamedTuple):
    """What is proved about a solution.

    Attributes
    ----------
    kind : str
        What `gap` is: "duality gap", or "kkt residual" where no finite dual point exists.
    gap : float
        (primal − dual) / P_null, P_null the null model's objective; or the KKT residual.
    kkt : float
        Largest distance of a correlation to the subdifferential of the penalty, over √h_j √(2 P_null): a correlation.
    primal, dual : float
        Objective of the coefficients as given, and a lower bound on the objective of any coefficients.
    zero, nonzero, undecided : (k,) intp
        Columns proved to be zero in every solution, proved to be non-zero in the solution, and neither.
    ties : list of (k,) intp
        Groups of identical columns with one in `nonzero` or `undecided`: within a group only the sum is determined.
    """

    kind: str
    gap: float
    kkt: float
    primal: float
    dual: float
    zero: Indices
    nonzero: Indices
    undecided: Indices
    ties: list[Indices]


def certify(X: Any, y: Any, coef: Any, intercept: Any = 0.0, *, alpha: float, l1_ratio: float = 1.0,
            group_classes: bool = False, **same: Any) -> Certificate:
    """How far given coefficients are from the optimum, with proof.

    Parameters
    ----------
    X, y : as in `fit_path`
    coef : (p,) array; (C, p) for a family of C linear predictors
        On the scale of the data.
    intercept : float; (C,) for C linear predictors
        Used as given: what a better one would gain is part of the gap. Must be 0 with fit_intercept=False.
    alpha : float > 0
    l1_ratio : float in [0, 1]
    group_classes : bool
        The L1 part is α l1_ratio Σ_j v_j s_j ‖b_j·‖₂, over the C coefficients of a column, and not Σ_c |b_jc|; for
        families of several linear predictors, without `bounds`.
    **same
        `family`, `sample_weight`, `offset`, `fit_intercept`, `standardize`, `penalty_factors`, `bounds`, `dropout`,
        `X_unlabeled`, `unlabeled_weight`, as in `fit_path`; they define the objective. Note that `standardize` is True
        unless said otherwise.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        `coef` breaks the bounds or is not zero on an excluded column; α is not positive; `group_classes` with one
        linear predictor, or with bounds.

    Notes
    -----
    The dual point is the residual, re-centred and made orthogonal to free columns, scaled until it is feasible
    (docs/objective.md). A column is zero in every solution if |s c_j| + √h_j √(2 L gap) < α l1_j (gap-safe sphere:
    Fercoq, Gramfort & Salmon, 2015), L the most that ∂²ℓ/∂η² can be: 1 for squared error, 1/4 for "binomial", without
    limit for the others, of which nothing is proved zero. For squared error, with U the columns not proved zero, of
    full rank, strong convexity on U gives |b_j − b*_j| ≤ √(2 gap [G_U⁻¹]_jj): non-zero if |b_j| is more.

    With `dropout` the penalty it stands for is part of the objective. For "poisson" the dual point is the residual of
    each row with its noise in it; for "binomial" and "multinomial", and with `X_unlabeled` for "poisson", the objective
    is not convex: `gap` is the KKT residual, `dual` is −∞, and nothing is proved.

    Of several linear predictors a column is zero if all its coefficients are, by the same sphere with the largest
    |c_jk|, or ‖c_j·‖₂ where grouped (L = 1/2 for "multinomial"), and non-zero if one of them is, ‖b_j·‖₂ being more.
    """
    alpha = check.number("alpha", alpha, 0, np.inf, open_lo=True)
    if alpha == np.inf:
        raise ValueError("alpha must be finite; got inf")
    problem = prepare(X, y, l1_ratio=l1_ratio, group_classes=group_classes, **same)
    several = problem.y.ndim > 1
    b, b0 = _given(problem, coef, intercept)
    exact = np.array([merged(problem, row) for row in b])
    eta = linear_predictor(problem.data.X, b.T, b0)
    if problem.offset is not None:
        eta += np.atleast_2d(problem.offset).T
    if problem.iterated:
        weighed = _weigh_mean(problem, b.T, exact.T, b0, alpha)
    else:
        weighed = weigh(problem, exact.T, eta, alpha) if several else _weigh(problem, exact[0], eta[:, 0], alpha)
    # what the given intercept, free columns and twins cost over their optimum; equal within rounding for a solution
    primal = weighed.loss + _penalty(problem, b, alpha)
    best = weighed.settled + _penalty(problem, exact, alpha)
    loose = max(0.0, primal - best)
    if loose <= 16 * EPS * max(primal, weighed.null):
        loose = 0.0
    scale = max(weighed.null, 1e-300)
    total = weighed.gap + loose
    relative = 0.0 if weighed.null == 0 and total <= EPS else total / scale
    residual = weighed.kkt / np.sqrt(2 * scale)
    zero, nonzero, undecided = _support(problem, weighed.size, weighed.pull, total, alpha)
    ids = np.union1d(nonzero, undecided)
    ties = [np.flatnonzero(problem.twin_of == i) for i in np.unique(problem.twin_of[ids])]
    kind = problem.gap_kind
    gap = float(relative if kind == "duality gap" else residual)
    return Certificate(kind, gap, float(residual), float(primal), float(primal - total), zero, nonzero, undecided,
                       [tie for tie in ties if len(tie) > 1])


def _weigh(problem: Problem, exact: Float, eta: Float, alpha: float) -> Weighed:
    """One linear predictor, by the kernel that certifies paths; `eta`: as given."""
    fit = problem.fit()
    null = start(problem, fit)
    gap, kkt, s, settled, _ = fit.at(exact, alpha)
    z = s * fit.correlation()
    side = np.where(z > 0, problem.penalties.hi > 0, problem.penalties.lo < 0)
    loss = problem.family.loss(problem.y, problem.w, None).deviance(np.ascontiguousarray(eta))
    return Weighed(gap, kkt, loss, settled, null.value, np.abs(fit.coef()), np.where(side, np.abs(z), -np.abs(z)))


def _weigh_mean(problem: Problem, given: Float, exact: Float, intercept: Float, alpha: float) -> Weighed:
    """Linear predictors under dropout whose penalty is not a ridge; it counts in the loss. Coefficients (p, C)."""
    model = cast(Dropped | DroppedPairs, predictors(problem))
    null = model.start()
    model.place(given, intercept)
    loss = model.value_at
    model.place(exact, intercept)
    model.centre()
    gap, kkt = model.lacks(alpha)
    return Weighed(gap * model.null, kkt * np.sqrt(2 * model.null), loss, model.value_at, null.value,
                   np.abs(exact).max(axis=1, initial=0.0), np.full(len(exact), np.inf))


def _given(problem: Problem, coef: Any, intercept: Any) -> tuple[Float, Float]:
    """Coefficients (C, p) and intercepts (C,), C = 1 for one linear predictor, checked against the problem."""
    p = problem.data.design.p
    if problem.y.ndim == 1:
        b = check.vector("coef", coef, p)[None]
        b0 = np.array([check.number("intercept", intercept, -np.inf, np.inf)])
    else:
        C = len(problem.y)
        if np.shape(coef) != (C, p):
            raise ValueError(f"coef must be ({C}, {p}), a row for each linear predictor; got shape {np.shape(coef)}")
        b = np.array([check.vector(f"coef[{c}]", row, p) for c, row in enumerate(np.asarray(coef))])
        b0 = check.vector("intercept", np.full(C, intercept) if np.ndim(intercept) == 0 else intercept, C)
    if not problem.intercept and b0.any():
        raise ValueError(f"intercept must be 0 with fit_intercept=False; got {intercept}")
    for row in b:
        _check_feasible(problem, row)
    return b, b0


def _check_feasible(problem: Problem, b: Float) -> None:
    outside = np.flatnonzero((b < problem.penalties.lo) | (b > problem.penalties.hi))
    if outside.size:
        j = int(outside[0])
        raise ValueError(f"coef[{j}]={b[j]:g} is outside bounds [{problem.penalties.lo[j]:g}, "
                         f"{problem.penalties.hi[j]:g}]")
    excluded = np.flatnonzero((b != 0) & np.isinf(problem.penalties.factors))
    if excluded.size:
        raise ValueError(f"coef[{int(excluded[0])}] must be 0: its penalty factor is inf; got {b[excluded[0]]:g}")


def merged(problem: Problem, b: Float) -> Float:
    """Coefficients of excluded twins added to the column they are equal to; constant columns dropped."""
    out = b.copy()
    for j in np.flatnonzero(b):
        if np.isinf(problem.l1[j]) and j not in problem.block:
            i = problem.twin_of[j]
            if i != j and np.isfinite(problem.l1[i]):
                out[i] += b[j]
            out[j] = 0
    return out


def _penalty(problem: Problem, b: Float, alpha: float) -> float:
    """α Σ v_j [ l1_ratio s_j|b_j| + (1 − l1_ratio)/2 s_j² b_j² ] + ½ Σ d_j b_j², b (C, p)"""
    size = problem.scale * (np.linalg.norm(b, axis=0) if problem.penalties.grouped else np.abs(b))
    v = np.where(size != 0, problem.penalties.factors, 0.0)
    ratio = problem.penalties.l1_ratio
    square = (1 - ratio) / 2 * size**2 if ratio < 1 else 0.0  # which may overflow
    dropped = 0.0 if problem.ridge is None or problem.iterated else float((problem.ridge * b**2).sum()) / 2
    return float(alpha * (v * (ratio * size + square)).sum()) + dropped


def _support(problem: Problem, b: Float, pull: Float, gap: float, alpha: float) -> tuple[Indices, Indices, Indices]:
    """Columns proved zero, proved non-zero, and the rest; `pull`: of the dual point, on sides that are open."""
    p = len(b)
    everything = np.arange(p)
    excluded = np.isinf(problem.l1) & (problem.twin_of == everything)
    excluded[problem.block] = False
    if not np.isfinite(gap):
        return everything[excluded], everything[:0], everything[~excluded]
    radius = np.sqrt(2 * problem.family.curvature * gap)
    v = problem.penalties.factors
    with np.errstate(invalid="ignore"):
        threshold = np.where(excluded, np.inf, alpha * v * problem.scale * problem.penalties.l1_ratio)
        size = np.sqrt(problem.curvature)
        # a bound at zero closes its side: only the other one, reachable within the radius, could move the coefficient
        reach = pull + size * radius
    safe = reach < threshold * (1 - 64 * EPS)
    both_closed = (problem.penalties.hi <= 0) & (problem.penalties.lo >= 0)
    zero = excluded | both_closed | (safe & (v > 0))
    ids = everything[~zero | (b != 0)]
    ids = ids[problem.twin_of[ids] == ids]
    proved = everything[:0]
    if problem.family.quadratic and 0 < ids.size <= min(UNDECIDED_LIMIT, problem.data.design.n):
        ridge = alpha * v[ids] * (1 - problem.penalties.l1_ratio) * problem.scale[ids] ** 2
        ridge += 0 if problem.ridge is None else problem.ridge[ids]
        G = correlation_matrix(problem, ids) + np.diag(ridge / problem.curvature[ids])
        try:
            L = scipy.linalg.cholesky(G, lower=True)
            if np.diag(L).min() ** 2 > 1e3 * EPS * len(ids):
                inverse = scipy.linalg.solve_triangular(L, np.eye(len(ids)), lower=True)
                reachable = np.sqrt(2 * gap * (inverse**2).sum(0)) / size[ids]
                proved = ids[b[ids] > reachable]
        except scipy.linalg.LinAlgError:
            pass  # dependent columns: the coefficients are not determined, so none is proved non-zero
    groups = np.bincount(problem.twin_of, minlength=p)
    proved = proved[groups[proved] == 1]  # among identical columns only the sum is determined
    proved = np.setdiff1d(proved, everything[zero])
    return everything[zero], proved, np.setdiff1d(everything[~zero], proved)
