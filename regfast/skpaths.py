"""scikit-learn's path functions: its names, parameters, objectives and what they return, this engine."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from . import validation as check
from .blas import single_threaded
from .condense import condense
from .errors import NO_MEMORY, STATUS, warn_not_converged
from .families import MultiGaussian
from .multitask import group
from .plumbing import automatic
from .problem import Null, Penalties, Problem, build, start
from .several import Predictors
from .validation import Float


def enet_path(X: Any, y: Any, *, l1_ratio: float = 0.5, eps: float = 1e-3, n_alphas: Any = "deprecated",
              alphas: Any = 100, precompute: Any = "auto", Xy: Any = None, copy_X: bool = True, coef_init: Any = None,
              verbose: Any = False, return_n_iter: bool = False, positive: bool = False, check_input: bool = True,
              **params: Any) -> Any:
    """Elastic-net path without intercept or standardisation, as scikit-learn's function of this name.

    Minimises  1/(2 n) ‖y − Xw‖² + α·l1_ratio·‖w‖₁ + ½ α (1 − l1_ratio) ‖w‖²  for every α.

    Parameters
    ----------
    X : (n, p), dense or sparse
    y : (n,) or (n, n_targets)
        The coefficients of a feature in several targets enter together, as in `MultiTaskElasticNet`.
    l1_ratio : float in [0, 1]
    eps : float
        α_min/α_max of an automatic grid.
    alphas : int or sequence of float
        A number of α's, or the α's.
    coef_init : (p,) or (n_targets, p), optional
        Where to begin.
    return_n_iter : bool
    positive : bool
    n_alphas : int
        The older name of an integer `alphas`.
    precompute, Xy, copy_X, verbose, check_input
        Accepted for compatibility: X is never copied or written to and every input is checked.
    **params
        `tol`, `max_iter`, `sample_weight`; `random_state` and `selection` are accepted.

    Returns
    -------
    alphas : (k,), descending
    coefs : (p, k) or (n_targets, p, k)
    dual_gaps : (k,)
    n_iters : list of int, with `return_n_iter`

    Raises
    ------
    ValueError
        An argument is not what it must be, or unknown; `positive` with several targets.
    """
    tol, max_iter = params.pop("tol", 1e-4), params.pop("max_iter", 1000)
    sample_weight = params.pop("sample_weight", None)
    params.pop("random_state", None)
    params.pop("selection", None)
    if params:
        raise ValueError(f"Unexpected parameters in params: {sorted(params)}; known are tol, max_iter, sample_weight, "
                         "random_state and selection (to centre sparse data use fit_path, which fits the intercept)")
    if not isinstance(n_alphas, str):
        warnings.warn("'n_alphas' was deprecated in 1.9 and will be removed in 1.11 of scikit-learn: use alphas",
                      FutureWarning, stacklevel=2)
        alphas = n_alphas
    elif alphas is None:
        warnings.warn("'alphas=None' is deprecated and will be removed in 1.11 of scikit-learn: give 100, the default",
                      FutureWarning, stacklevel=2)
    if alphas is None or isinstance(alphas, str):
        alphas = 100
    data, tol, max_iter = check.as_data(X), check.number("tol", tol, 0, 1), check.integer("max_iter", max_iter, 1)
    ratio, w = check.number("l1_ratio", l1_ratio, 0, 1), check.weights(sample_weight, data.design.n)
    if np.ndim(y) == 2 and np.shape(y)[1] != 1:
        if positive:
            raise ValueError("positive must be False for several targets; their coefficients enter together")
        found = _together(group(data, MultiGaussian().response(y, data.design.n).y, w, ratio, False), alphas, eps,
                          coef_init, tol, max_iter)
    else:
        p = data.design.p
        penalties = Penalties(ratio, check.factors(None, p), *check.limits((0, np.inf) if positive else None, p))
        problem = build(data, check.vector("y", y, data.design.n), w, intercept=False, standardize=False,
                        penalties=penalties, n_alphas=100)
        found = _one(problem, alphas, eps, coef_init, tol, max_iter)
    warn_not_converged(found.alphas, found.gaps, found.status, "duality gap", tol)
    at = np.searchsorted(-found.alphas, -found.asked)  # a strength given twice is solved once
    coefs = found.coefs[..., at].astype(data.X.dtype, copy=False)
    out = (found.asked, coefs, found.gaps[at] * found.null)
    return (*out, [int(found.n_iter[k]) for k in at]) if return_n_iter else out


class _Found(NamedTuple):
    asked: Float  # (k,) as given
    alphas: Float  # (m,) each once
    coefs: Float  # (p, m) or (C, p, m)
    gaps: Float  # (m,) relative
    n_iter: Any  # (m,)
    status: list[str]
    null: float


def _one(problem: Problem, alphas: Any, eps: float, coef_init: Any, tol: float, max_iter: int) -> _Found:
    """The path of one target."""
    fit = condense(problem).fit()
    null = start(problem, fit)
    a = _descending(alphas, problem, null, eps)
    if coef_init is not None:
        fit.warm(np.where(np.isinf(problem.l1), 0.0, check.vector("coef_init", coef_init, problem.data.design.p)))
    unique = np.unique(a)[::-1].copy()
    with single_threaded():
        values, indices, indptr, _, _, gaps, epochs, _, codes = fit.run(
            unique, tol, max_iter, False, null.total, None)
    if len(codes) > len(gaps):
        raise MemoryError if codes[-1] == NO_MEMORY else fit.error or KeyboardInterrupt
    coefs = sp.csc_array((values, indices, indptr), shape=(problem.data.design.p, len(unique))).toarray()
    return _Found(a, unique, coefs, gaps, epochs, [STATUS[code] for code in codes], null.value)


def _together(model: Predictors, alphas: Any, eps: float, coef_init: Any, tol: float, max_iter: int) -> _Found:
    """That of several, whose coefficients of a feature enter together."""
    C, p = model.classes, model.problem.data.design.p
    with single_threaded():
        null = model.start()
        a = _descending(alphas, model.problem, null, eps)
        unique = np.unique(a)[::-1].copy()
        if coef_init is not None:
            if np.shape(coef_init) != (C, p):
                raise ValueError(f"coef_init must be ({C}, {p}); got shape {np.shape(coef_init)}")
            model.warm(np.array([check.vector("coef_init", row, p) for row in np.asarray(coef_init)]).T)
        if null.value > 0:
            model.foresee(unique)
        coefs, gaps, epochs, status = np.zeros((C, p, len(unique))), np.zeros(len(unique)), [], []
        for k, alpha in enumerate(unique):
            used, word = model.n_iter, "converged"
            if null.value > 0:
                word, gaps[k] = model.solve(float(alpha), tol, max_iter)
            coefs[..., k] = model.coefs()
            epochs.append(model.n_iter - used)
            status.append(word)
    return _Found(a, unique, coefs, gaps, epochs, status, null.value)


def _descending(alphas: Any, problem: Problem, null: Null, eps: float) -> Float:
    """The α's of scikit-learn's path functions: an int is a geometric grid, all tiny where y has no correlation."""
    if isinstance(alphas, (int, np.integer)):
        count = check.integer("alphas", alphas, 1)
        return automatic(problem, null, count, check.number("eps", eps, 0, 1, open_lo=True))
    a = np.sort(np.atleast_1d(np.asarray(alphas, dtype=np.float64)))[::-1]
    check.strengths(a)
    if a[-1] == 0:
        raise ValueError("alphas must be positive for a path; for alpha=0 use fit_path or ElasticNet(alpha=0)")
    return np.ascontiguousarray(a)


def lasso_path(X: Any, y: Any, *, eps: float = 1e-3, n_alphas: Any = "deprecated", alphas: Any = 100,
               precompute: Any = "auto", Xy: Any = None, copy_X: bool = True, coef_init: Any = None,
               verbose: Any = False, return_n_iter: bool = False, positive: bool = False, **params: Any) -> Any:
    """Lasso path without intercept or standardisation: `enet_path` with l1_ratio = 1."""
    return enet_path(X, y, l1_ratio=1.0, eps=eps, n_alphas=n_alphas, alphas=alphas, precompute=precompute, Xy=Xy,
                     copy_X=copy_X, coef_init=coef_init, verbose=verbose, return_n_iter=return_n_iter,
                     positive=positive, **params)
