"""What estimators of this and other libraries minimise, read from their parameters; nothing of theirs is imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import families
from .statement import Statement

SELVES = ("regfast", "sklearn")  # the same names, parameters and objectives


class Reader(NamedTuple):
    """How to read one class."""

    state: Callable[[Any, int | None], Statement]  # of the estimator and the number of rows, None where unknown
    coding: str = "numbers"  # what the response is: numbers, labels, or signs of classes


def reader_of(est: Any) -> Reader:
    """The reader of an estimator's class, or of the class of a known library that it derives from.

    Raises
    ------
    TypeError
        The class is not known, or its objective is none of regfast's.
    """
    for cls in type(est).__mro__:
        place = (cls.__module__.split(".")[0], cls.__name__)
        if place in READERS:
            return READERS[place]
        if place in REFUSED:
            raise TypeError(f"{'.'.join(place)} is not a model with a certificate here: {REFUSED[place]}")
        if place[0] in KNOWN:
            break
    known = {root: ", ".join(name for r, name in READERS if r == root) for root in KNOWN if root != "regfast"}
    raise TypeError(f"{type(est).__module__}.{type(est).__name__} is not known. Known are\n"
                    + "\n".join(f"  {root}: {names}" for root, names in known.items())
                    + "\nand scikit-learn's Pipeline and search objects around them. For any other model of the "
                    "objective in docs/objective.md: regfast.certify(X, y, coef, intercept, alpha=..., l1_ratio=..., "
                    "family=..., standardize=False)")


def chosen(est: Any, name: str, default: Any = None) -> Any:
    """A parameter, or what cross-validation chose for it; `default` where the class has neither."""
    value = getattr(est, name + "_", None)
    if value is not None:
        value = {v for v in np.ravel(value).tolist() if v is not None} or {default}
        if len(value) > 1:
            raise ValueError(f"{name}_ of {type(est).__name__} must be one number; got {sorted(value)}: certify each "
                             "target by itself")
        return value.pop()
    if hasattr(est, name):
        return getattr(est, name)
    if name in ("alpha", "C"):
        raise ValueError(f"{type(est).__name__} must be fitted: its {name} is chosen then")
    return default


def _positive(est: Any) -> Any:
    return (0.0, np.inf) if getattr(est, "positive", False) else None


def _together(est: Any) -> bool:
    return any(cls.__name__.startswith("MultiTask") for cls in type(est).__mro__)


def _elastic_net(est: Any, n: int | None) -> Statement:
    grouped = _together(est)
    return Statement("multigaussian" if grouped else "gaussian", float(chosen(est, "alpha")),
                     l1_ratio=float(chosen(est, "l1_ratio", 1.0)), fit_intercept=bool(est.fit_intercept),
                     bounds=_positive(est), penalty_factors=getattr(est, "weights", None), grouped=grouped)


def _ridge(est: Any, n: int | None) -> Statement:
    strengths = np.unique(np.ravel(chosen(est, "alpha")))
    if len(strengths) > 1:
        raise ValueError(f"alpha must be one number; got {est.alpha!r}: certify each target by itself")
    return Statement("gaussian", float(strengths[0]), True, 0.0, bool(est.fit_intercept), bounds=_positive(est),
                     class_weight=getattr(est, "class_weight", None))


def _least_squares(est: Any, n: int | None) -> Statement:
    return Statement("gaussian", 0.0, fit_intercept=bool(est.fit_intercept), bounds=_positive(est))


PENALTIES = {"l2": 0.0, "l1": 1.0}


def _logistic(est: Any, n: int | None) -> Statement:
    if getattr(est, "refit", True) is False:
        raise ValueError("refit must be True: with refit=False the coefficients are means over folds, the optimum of "
                         "nothing")
    if getattr(est, "multi_class", "deprecated") == "ovr":
        raise ValueError("multi_class must not be 'ovr': its classes are separate models; certify each by itself")
    penalty = getattr(est, "penalty", "deprecated")
    C = np.inf if penalty is None else float(chosen(est, "C"))
    ratio = PENALTIES[penalty] if penalty in PENALTIES else float(chosen(est, "l1_ratio", 0.0) or 0.0)
    several = len(getattr(est, "classes_", ())) > 2
    return Statement("multinomial" if several else "binomial", 1 / C, True, ratio, bool(est.fit_intercept),
                     class_weight=est.class_weight)


def _poisson(est: Any, n: int | None) -> Statement:
    return _likelihood(est, "poisson")


def _gamma(est: Any, n: int | None) -> Statement:
    return _likelihood(est, "gamma")


def _tweedie(est: Any, n: int | None) -> Statement:
    return _likelihood(est, families.Tweedie(est.power, est.link).name)


def _likelihood(est: Any, family: str) -> Statement:
    return Statement(family, float(est.alpha), l1_ratio=float(getattr(est, "l1_ratio", 0.0)),
                     fit_intercept=bool(est.fit_intercept))


def _sgd(est: Any, n: int | None) -> Statement:
    """Weights multiply the steps and are not divided by their sum: α stands beside Σ w ℓ / n."""
    family = {"squared_error": "gaussian", "log_loss": "binomial"}.get(est.loss)
    if family is None:
        raise ValueError(f"loss of {type(est).__name__} must be 'squared_error' or 'log_loss'; got {est.loss!r}, whose "
                         "objective is none of regfast's")
    if len(getattr(est, "classes_", ())) > 2:
        raise ValueError("SGDClassifier must have two classes: with more they are separate models")
    ratio = PENALTIES.get(est.penalty, est.l1_ratio)
    strength = 0.0 if est.penalty is None else float(est.alpha)
    return Statement(family, strength * (n or 1), n is not None, float(ratio), bool(est.fit_intercept),
                     class_weight=getattr(est, "class_weight", None))


def _sparse_logistic(est: Any, n: int | None) -> Statement:
    return Statement("binomial", float(est.alpha), l1_ratio=float(est.l1_ratio), fit_intercept=bool(est.fit_intercept))


def _celer_logistic(est: Any, n: int | None) -> Statement:
    return Statement("binomial", 1 / float(est.C), True, 1.0, bool(est.fit_intercept))


GLUM_FAMILIES = {"normal": "gaussian", "tweedie": "tweedie(1.5)"}


def _glum(est: Any, n: int | None) -> Statement:
    name = re.sub(r"\s", "", est.family) if isinstance(est.family, str) else type(est.family).__name__
    family = families.get(GLUM_FAMILIES.get(name, name)).name
    if est.link not in ("auto", families.get(family).link):
        raise ValueError(f"link must be 'auto' or {families.get(family).link!r}; got {est.link!r}, a model that is "
                         "none of regfast's")
    if getattr(est, "alpha_search", False) or getattr(est, "A_ineq", None) is not None:
        raise ValueError("alpha_search and A_ineq must be left out: name one alpha, and no inequality between "
                         "coefficients")
    ratio = float(chosen(est, "l1_ratio", 0.0))
    l1, l2 = (None if part is None or isinstance(part, str) else np.asarray(part, dtype=np.float64)
              for part in (est.P1, est.P2))
    if l2 is not None and l2.ndim == 2:
        raise ValueError("P2 must be a diagonal, (p,); got a matrix, which regfast has no penalty for")
    used = [part for part, share in ((l1, ratio), (l2, 1 - ratio)) if share > 0]
    if len({None if part is None else tuple(part) for part in used}) > 1:
        raise ValueError("P1 and P2 must be equal: one factor multiplies both parts of regfast's penalty")
    lo, hi = est.lower_bounds, est.upper_bounds
    bounds = None if lo is None and hi is None else (-np.inf if lo is None else lo, np.inf if hi is None else hi)
    alpha = getattr(est, "alpha_", est.alpha)
    return Statement(family, 0.0 if alpha is None else float(alpha), l1_ratio=ratio,
                     fit_intercept=bool(est.fit_intercept), standardize=bool(est.scale_predictors),
                     penalty_factors=used[0], bounds=bounds)


_NETS = ("Lasso", "ElasticNet", "LassoCV", "ElasticNetCV", "MultiTaskLasso", "MultiTaskElasticNet",
         "MultiTaskLassoCV", "MultiTaskElasticNetCV")
_OURS: dict[str, Reader] = {
    **{name: Reader(_elastic_net) for name in _NETS},
    "Ridge": Reader(_ridge), "RidgeCV": Reader(_ridge),
    "RidgeClassifier": Reader(_ridge, "signs"), "RidgeClassifierCV": Reader(_ridge, "signs"),
    "LogisticRegression": Reader(_logistic, "labels"), "LogisticRegressionCV": Reader(_logistic, "labels"),
    "PoissonRegressor": Reader(_poisson), "GammaRegressor": Reader(_gamma), "TweedieRegressor": Reader(_tweedie),
}
READERS: dict[tuple[str, str], Reader] = {
    **{(root, name): reader for root in SELVES for name, reader in _OURS.items()},
    **{("sklearn", name): Reader(_elastic_net) for name in ("LassoLars", "LassoLarsCV", "LassoLarsIC")},
    ("sklearn", "LinearRegression"): Reader(_least_squares),
    ("sklearn", "SGDRegressor"): Reader(_sgd), ("sklearn", "SGDClassifier"): Reader(_sgd, "labels"),
    **{("celer", name): Reader(_elastic_net) for name in (
        "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV")},
    ("celer", "LogisticRegression"): Reader(_celer_logistic, "labels"),
    **{("skglm", name): Reader(_elastic_net) for name in ("Lasso", "WeightedLasso", "ElasticNet", "MultiTaskLasso")},
    ("skglm", "SparseLogisticRegression"): Reader(_sparse_logistic, "labels"),
    ("glum", "GeneralizedLinearRegressor"): Reader(_glum), ("glum", "GeneralizedLinearRegressorCV"): Reader(_glum),
}
"""How to read each class, by library and name."""

KNOWN = tuple(dict.fromkeys(root for root, _ in READERS))

_HINGE = "the hinge loss is none of regfast's families"
_GROUPS = "regfast has no penalty on groups of features"
REFUSED: dict[tuple[str, str], str] = {
    ("sklearn", "LinearSVC"): _HINGE + ", and LIBLINEAR penalises the intercept",
    ("sklearn", "LinearSVR"): "the epsilon-insensitive loss is none of regfast's families",
    ("sklearn", "Perceptron"): "it stops at a separating plane, not at the optimum of an objective",
    ("sklearn", "HuberRegressor"): "Huber's loss is none of regfast's families",
    ("sklearn", "QuantileRegressor"): "the pinball loss is none of regfast's families",
    ("sklearn", "Lars"): "it counts coefficients and states no strength; LassoLars does",
    ("sklearn", "OrthogonalMatchingPursuit"): "it counts coefficients and minimises no convex objective",
    ("sklearn", "BayesianRidge"): "its strengths are estimated with the model; certify has them as alpha = lambda_ / "
                                  "alpha_ / n, l1_ratio=0, standardize=False",
    ("sklearn", "ARDRegression"): "its penalty is not convex",
    ("celer", "GroupLasso"): _GROUPS, ("celer", "GroupLassoCV"): _GROUPS, ("skglm", "GroupLasso"): _GROUPS,
    ("skglm", "MCPRegression"): "its penalty is not convex",
    ("skglm", "LinearSVC"): _HINGE,
    ("skglm", "CoxEstimator"): "Cox's likelihood is none of regfast's families",
    ("skglm", "GeneralizedLinearEstimator"): "its datafit and penalty are objects of its own; certify takes what they "
                                             "say as family=, alpha=, l1_ratio= and penalty_factors=",
    ("glmnet", "ElasticNet"): "this wrapper keeps glmnet's lambda and alpha: certify takes "
                              "*regfast.conventions.from_glmnet(lambda_best_, alpha, sd_y)",
    ("glmnet", "LogitNet"): "this wrapper keeps glmnet's lambda and alpha, which are regfast's alpha and l1_ratio for "
                            "family='binomial': give them to certify",
}
"""Models that are known, and known not to have a certificate here, with the reason."""


def state(est: Any, n: int | None = None) -> Statement:
    """What an estimator minimises; of n rows, where the class has to know."""
    return reader_of(est).state(est, n)
