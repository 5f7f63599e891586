"""Models that are results and not estimators, statsmodels' and adelie's: statement and solution."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .statement import Statement
from .validation import Float

LINKS = {"Gaussian": ("gaussian", "identity"), "Binomial": ("binomial", "logit"), "Poisson": ("poisson", "log"),
         "Gamma": ("gamma", "log")}
MODELS = {"OLS": "Gaussian", "WLS": "Gaussian", "Logit": "Binomial", "Poisson": "Poisson"}


def of_statsmodels(result: Any, X: Any, y: Any, alpha: float | None,
                   l1_ratio: float | None) -> tuple[Statement, Float, float, Any, Any]:
    """(statement, coefficients, intercept, X without its constant column, y) of a result of statsmodels.

    Raises
    ------
    TypeError
        The model is none of OLS, WLS, GLM, Logit and Poisson.
    ValueError
        A penalised fit whose `alpha` and `l1_ratio` are not given, or a family or link that regfast does not have.
    """
    model: Any = getattr(result, "model", None)
    name = type(model).__name__
    if name not in (*MODELS, "GLM"):
        raise TypeError(f"statsmodels' {name} is not known. Known are results of OLS, WLS, GLM, Logit and Poisson")
    kind = type(model.family).__name__ if name == "GLM" else MODELS[name]
    link = type(model.family.link).__name__.lower() if name == "GLM" else LINKS[kind][1]
    if kind not in LINKS or link != LINKS[kind][1]:
        raise ValueError(f"family must be one of {', '.join(LINKS)} with the link that regfast has for it; got {kind} "
                         f"with the link {link!r}")
    penalised = "Regularized" in type(result).__name__ or type(result).__name__.startswith("L1")
    if penalised and (alpha is None or l1_ratio is None):
        raise ValueError("alpha and l1_ratio must be given, in regfast's terms (regfast.conventions.from_statsmodels): "
                         "the result of fit_regularized does not keep them")
    X, params = np.asarray(X, dtype=np.float64), np.asarray(result.params, dtype=np.float64)
    if X.shape[1:] != params.shape:
        raise ValueError(f"X must be the design of the fit, with its constant, {len(params)} columns; got {X.shape}")
    constant = np.flatnonzero(np.ptp(X, axis=0) == 0)
    constant = constant[X[0, constant] != 0][:1]
    kept = np.setdiff1d(np.arange(X.shape[1]), constant)
    s = Statement(LINKS[kind][0], float(alpha or 0.0) if penalised else 0.0, l1_ratio=1.0 if l1_ratio is None
                  else l1_ratio, fit_intercept=constant.size > 0)
    return s, params[kept], float((params[constant] * X[0, constant]).sum()), X[:, kept], np.asarray(y)


def of_adelie(est: Any, alpha: float | None) -> tuple[Statement, Float, float]:
    """(statement, coefficients, intercept) of adelie's GroupElasticNet, at the strength `alpha` of its path.

    Raises
    ------
    ValueError
        Its path holds several strengths and `alpha` names none of them, features are in groups, or the family has
        several linear predictors.
    """
    state, lambdas = est.state_, np.ravel(est.lambda_)
    if est.family not in ("gaussian", "binomial", "poisson") or (np.asarray(state.group_sizes) != 1).any():
        raise ValueError("family must be 'gaussian', 'binomial' or 'poisson', of features without groups; got "
                         f"family={est.family!r}: give its coefficients to certify")
    at = np.arange(len(lambdas)) if alpha is None else np.flatnonzero(np.isclose(lambdas, alpha, rtol=1e-9, atol=0))
    if len(at) != 1:
        raise ValueError(f"alpha must name one of the strengths of the path, {lambdas.tolist()}; got {alpha}")
    rows = est.coef_.toarray() if sp.issparse(est.coef_) else np.atleast_2d(est.coef_)
    s = Statement(est.family, float(lambdas[at[0]]), l1_ratio=float(state.alpha), fit_intercept=bool(state.intercept),
                  penalty_factors=np.asarray(state.penalty, dtype=np.float64))
    return s, rows.reshape(len(lambdas), -1)[at[0]], float(np.ravel(est.intercept_)[at[0]])
