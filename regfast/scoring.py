"""What a prediction is worth: the family's deviance, or any scorer of scikit-learn, at a linear predictor."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .problem import EPS, Problem
from .validation import Float

Rows = NDArray[np.intp]
Scorer = Callable[[Rows, Float], float]


def scorer(scoring: Any, problem: Problem, observed: Float) -> Scorer:
    """A function (rows, their linear predictor) → score; one that cannot score `observed` says so before the work.

    `observed`: the response without an offset taken off, (n,) or (C, n); linear predictors are (k,) or (k, C).
    """
    family, classes, numbers, w = problem.family, problem.classes, problem.labels, problem.w
    if scoring is None:
        return lambda rows, eta: family.deviance(observed[..., rows], eta, w[rows])
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import check_scoring

    class Known(BaseEstimator):
        """Predictions that a scorer can ask for."""

        def __init__(self, eta: Float) -> None:
            self.eta = eta

        def fit(self, X: Any, y: Any) -> Known:
            return self

    class Regressor(RegressorMixin, Known):
        def predict(self, X: Any) -> Float:
            return family.inverse(self.eta)

    class Classifier(ClassifierMixin, Known):
        classes_ = classes

        def predict(self, X: Any) -> NDArray[Any]:
            assert classes is not None
            return np.asarray(classes[self.eta.argmax(axis=1) if self.eta.ndim > 1 else (self.eta > 0).astype(int)])

        def predict_proba(self, X: Any) -> Float:
            if self.eta.ndim > 1:
                return family.inverse(self.eta)
            return np.stack([family.inverse(-self.eta), family.inverse(self.eta)], axis=1)

        def decision_function(self, X: Any) -> Float:
            return self.eta

    kind: Any = Regressor
    truth: Any = observed.T
    if numbers is not None and classes is not None:
        kind, truth = Classifier, classes[numbers]
    chosen = scoring if callable(scoring) else check_scoring(kind(np.zeros(0)), scoring)

    def score(rows: Rows, eta: Float) -> float:
        extra = {} if np.ptp(w[rows]) == 0 else {"sample_weight": w[rows]}
        return float(chosen(kind(eta), np.empty((len(rows), 1)), truth[rows], **extra))

    level = observed @ w
    eta = np.empty_like(observed.T)
    eta[:] = level if family.link == "identity" else np.log(level)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a constant prediction is the least of a score's worries
            score(np.arange(len(w)), eta)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"scoring={scoring!r} cannot score family={family.name!r}: {error}") from error
    return score


def is_log_loss(scoring: Any) -> bool:
    """Whether this is the name of scikit-learn's scorer "neg_log_loss", that scorer, or what stands for it."""
    from sklearn.metrics import log_loss

    if isinstance(scoring, str):
        return scoring in ("neg_log_loss", "warn")
    plain = getattr(scoring, "_sign", 0) == -1 and not getattr(scoring, "_kwargs", None)
    return plain and getattr(scoring, "_score_func", None) is log_loss


def log_losses(eta: Float, of: Rows, weights: Any = None) -> Float:
    """Mean log losses of models, of linear predictors (n, ..., 1) or, of several classes, (n, ..., C).

    `of` (n,) is the class of each row. As in scikit-learn's `log_loss`, no probability counts as less than a rounding.
    """
    at = of.reshape(-1, *[1] * (eta.ndim - 1))
    if eta.shape[-1] == 1:
        losses = np.logaddexp(0, np.where(at == 1, -eta, eta))[..., 0]
    else:
        losses = logsumexp(eta, axis=-1) - np.take_along_axis(eta, at, axis=-1)[..., 0]
    return np.asarray(np.average(np.minimum(losses, -np.log(EPS)), axis=0, weights=weights))


def knowing(scorer: Any, classes: NDArray[Any]) -> Any:
    """A scorer that is told all classes: the rows held out need not have them all."""
    from sklearn import config_context

    function = getattr(scorer, "_score_func", None)
    if function is None:
        return scorer
    fixed = getattr(scorer, "_kwargs", None) or {}
    known = {"labels": classes} | ({"pos_label": classes[1]} if len(classes) == 2 else {})
    takes = inspect.signature(function).parameters
    known = {name: value for name, value in known.items() if "labels" in takes and name in takes and name not in fixed}

    def score(*args: Any, **given: Any) -> float:
        with config_context(enable_metadata_routing=bool(known)):  # what lets a scorer take more than weights
            return float(scorer(*args, **(known | given)))

    return score
