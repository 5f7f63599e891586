"""Estimators of this library as scikit-learn's, and back; alone or inside pipelines and searches."""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import numpy as np

from .patch import CLASSES, original
from .result import Path

CARRIED = ("_label_binarizer", "_metadata_request", "_sklearn_output_config")
"""What scikit-learn itself keeps under these names in its fitted estimators, and its `clone` in any."""


def to_sklearn(est: Any) -> Any:
    """scikit-learn's estimators in place of regfast's, fitted if they are.

    For what knows only scikit-learn's classes: ONNX, PMML, SHAP, model registries.

    Parameters
    ----------
    est : estimator
        One of regfast's with a scikit-learn name, or a Pipeline, ColumnTransformer, search, ensemble or any other
        estimator that holds some, at any depth.

    Returns
    -------
    estimator
        Of the same class name, with the same parameters and fitted attributes: coef_, intercept_, classes_, n_iter_,
        feature_names_in_ and so on; it predicts the same. Arrays are copied.

    Raises
    ------
    TypeError
        There is none of regfast's estimators in `est`.

    Warns
    -----
    UserWarning
        A parameter that scikit-learn's class does not have is lost (`l1_ratio` of PoissonRegressor, GammaRegressor and
        TweedieRegressor): predictions are the same, a new fit would not be. Or `solver` or `dual` is one that
        scikit-learn would refuse with this penalty, or that penalises the intercept ("liblinear"): another one with
        the same objective takes its place.
    """
    return _converted(est, {_ours(name): original(name) for name in CLASSES}, "regfast")


def from_sklearn(est: Any) -> Any:
    """regfast's estimators in place of scikit-learn's, fitted if they are: `to_sklearn` backwards.

    Parameters
    ----------
    est : estimator
        One of `sklearn.linear_model` with a name that regfast has, or a Pipeline, search or any other estimator that
        holds some. Others inside it stay as they are.

    Raises
    ------
    TypeError
        There is none of them in `est`.
    """
    return _converted(est, {original(name): _ours(name) for name in CLASSES}, "scikit-learn")


def _ours(name: str) -> Any:
    import regfast

    return getattr(regfast, name)


def _converted(est: Any, table: dict[Any, Any], source: str) -> Any:
    found: list[str] = []
    out = _walk(est, table, {}, found)
    if not found:
        raise TypeError(f"est must be, or hold, an estimator of {source} with one of the names {', '.join(CLASSES)}; "
                        f"got {type(est).__module__}.{type(est).__qualname__}")
    return out


def _walk(x: Any, table: dict[Any, Any], memo: dict[int, Any], found: list[str]) -> Any:
    """x with every estimator in it converted; what holds none is x itself."""
    if id(x) in memo:
        return memo[id(x)][1]
    if isinstance(x, type):
        return table.get(x, x)
    new = x
    if type(x) in table:
        found.append(type(x).__name__)
        new = _translate(x, table[type(x)])
    elif hasattr(x, "get_params") and hasattr(x, "__dict__"):
        new = copy.copy(x)
        memo[id(x)] = (x, new)
        for name, value in vars(x).items():
            vars(new)[name] = _walk(value, table, memo, found)
    elif isinstance(x, dict):
        new = copy.copy(x)
        for key, value in x.items():
            new[key] = _walk(value, table, memo, found)
    elif type(x) in (list, tuple):
        new = type(x)(_walk(value, table, memo, found) for value in x)
    elif isinstance(x, np.ndarray) and x.dtype == object:
        new = x.copy()
        raw = new.view(np.ndarray)  # of a masked array too, whose mask stays
        for at, value in np.ndenumerate(raw):
            raw[at] = _walk(value, table, memo, found)
    memo[id(x)] = (x, new)  # with x, so that no later object takes its id
    return new


def _translate(est: Any, cls: Any) -> Any:
    """An estimator as one of the class of the same name in the other library."""
    params, there = est.get_params(deep=False), inspect.signature(cls).parameters
    defaults = inspect.signature(type(est)).parameters
    lost = {name: value for name, value in params.items()
            if name not in there and value is not defaults[name].default and value != defaults[name].default}
    if lost:
        _warn_of(cls, lost)
    params = {name: value for name, value in params.items() if name in there}
    if cls.__module__.startswith("sklearn"):
        params = _acceptable(params, cls.__name__)
    new = cls(**params)
    fitted = {name: value for name, value in vars(est).items()
              if name in CARRIED or (name.endswith("_") and not name.startswith("_"))}
    if "coef_" in fitted:
        _prepare(new)
    for name, value in fitted.items():
        setattr(new, name, copy.deepcopy(value))
    return new


def _warn_of(cls: Any, lost: dict[str, Any]) -> None:
    said = ", ".join(f"{name}={value!r}" for name, value in lost.items())
    warnings.warn(f"{cls.__module__.split('.')[0]}'s {cls.__name__} has no {said}: the converted model predicts the "
                  "same, but a new fit of it would be another model", UserWarning, stacklevel=6)


def _prepare(new: Any) -> None:
    """Give a regressor of another likelihood its loss, which only a fit makes; attributes are set afterwards."""
    if hasattr(new, "_family"):
        new._fitted = new._family()
    elif type(new).__name__ in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor"):
        new.fit(np.zeros((2, 1)), np.ones(2))


def _acceptable(params: dict[str, Any], name: str) -> dict[str, Any]:
    """Parameters with a `solver` that scikit-learn takes for this penalty and that leaves the intercept alone."""
    if not name.startswith("LogisticRegression"):
        return params
    ratios = params.get("l1_ratios" if name.endswith("CV") else "l1_ratio")
    penalty = params.get("penalty", "deprecated")
    uses_l1 = penalty in ("l1", "elasticnet") or (
        penalty == "deprecated" and ratios is not None and bool(np.any(np.asarray(ratios, dtype=float) > 0)))
    solver = params["solver"]
    if solver == "liblinear" or (uses_l1 and solver != "saga"):
        solver = "saga" if uses_l1 else "lbfgs"
    new = params | {"solver": solver, "dual": False}
    changed = {key: params[key] for key in ("solver", "dual") if params[key] != new[key]}
    if changed:
        warnings.warn(f"{name} of scikit-learn would not fit this objective with {changed}: converted to solver="
                      f"{solver!r}, dual=False", UserWarning, stacklevel=6)
    return new


def path_to_sklearn(path: Path, alpha: float) -> Any:
    """scikit-learn's fitted estimator for the solution of a path at α.

    Its coefficients are on the scale of the data, so that it predicts the same; standardisation, penalty factors and
    bounds, which it has no parameters for, would be lost in a new fit: ``path.equivalent("sklearn", alpha)`` is code
    that keeps them or says that it cannot.

    Raises
    ------
    ValueError
        The path has an offset, or a binomial response without labels: no estimator of scikit-learn predicts that.

    Warns
    -----
    UserWarning
        `l1_ratio` is lost, as in `to_sklearn`.
    """
    if path.has_offset:
        raise ValueError("this path was fitted with an offset, which no estimator of scikit-learn takes")
    if path.family == "binomial" and path.classes_ is None:
        raise ValueError("a fit to fractions or counts has no labels, which scikit-learn's LogisticRegression predicts")
    coef, intercept = path.coef_at(alpha), np.asarray(path.intercept_at(alpha))[()]
    name, params = _model_of(path, float(alpha))
    new = original(name)(fit_intercept=path.fit_intercept, **params)
    _prepare(new)
    if name == "LogisticRegression":
        coef, intercept = np.atleast_2d(coef), np.atleast_1d(intercept)
        new.classes_ = np.array(path.classes_)
    new.coef_, new.intercept_, new.n_features_in_ = coef, intercept, coef.shape[-1]
    if path.feature_names_in_ is not None:
        new.feature_names_in_ = np.array(path.feature_names_in_, dtype=object)
    n_iter = int(path.n_iter[min(int(np.searchsorted(-path.alphas, -alpha)), len(path) - 1)])
    new.n_iter_ = np.array([n_iter]) if name == "LogisticRegression" else n_iter
    return new


def _model_of(path: Path, alpha: float) -> tuple[str, dict[str, Any]]:
    """(class, parameters) of the objective without standardisation and penalty factors."""
    family, ratio = path.family, path.l1_ratio
    total = path.n_samples * alpha
    if family in ("binomial", "multinomial"):
        solver = "saga" if ratio else "lbfgs"
        return "LogisticRegression", {"C": 1 / total if total else np.inf, "l1_ratio": ratio, "solver": solver}
    if family == "multigaussian":
        return "MultiTaskElasticNet", {"alpha": alpha, "l1_ratio": ratio}
    if family == "gaussian":
        positive = {"positive": path.statement(alpha).positive}
        if ratio == 0:
            return "Ridge", {"alpha": total, **positive}
        return ("Lasso", {"alpha": alpha, **positive}) if ratio == 1 else (
            "ElasticNet", {"alpha": alpha, "l1_ratio": ratio, **positive})
    name = {"poisson": "PoissonRegressor", "gamma": "GammaRegressor"}.get(family, "TweedieRegressor")
    if ratio:
        _warn_of(original(name), {"l1_ratio": ratio})
    return name, {"alpha": alpha} | ({"power": float(family[8:-1])} if name == "TweedieRegressor" else {})
