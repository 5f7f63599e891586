"""What a prediction is worth: the family's deviance, or any scorer of scikit-learn, at a linear predictor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .problem import Problem
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
