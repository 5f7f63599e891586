"""Every estimator that has a scikit-learn name, with arguments and a response that suit it."""

from typing import Any, NamedTuple

import numpy as np
import sklearn.linear_model as theirs
from numpy.typing import NDArray

import regfast

Array = NDArray[Any]
RNG = np.random.default_rng(4)
N, P = 60, 5
X = RNG.normal(size=(N, P)) * [1, 2, 0.5, 1, 1] + [0, 1, 0, 0, 0.5]
ETA = X @ [0.8, -0.4, 0, 0, 0.3]
W = RNG.uniform(0.3, 2, N)
RESPONSES: dict[str, Array] = {
    "number": 3 * ETA + RNG.normal(size=N) + 2,
    "numbers": np.column_stack([ETA + RNG.normal(size=N), X[:, 3] - ETA, RNG.normal(size=N)]),
    "two": np.where(ETA + RNG.logistic(size=N) > 0, "yes", "no"),
    "three": np.array(["blue", "green", "red"])[(np.column_stack([ETA, -ETA, X[:, 3]])
                                                 + RNG.gumbel(size=(N, 3))).argmax(axis=1)],
    "count": RNG.poisson(np.exp(ETA)).astype(float),
    "amount": RNG.gamma(2, np.exp(ETA)) + 0.01,
}


class Entry(NamedTuple):
    name: str
    arguments: dict[str, Any]
    y: Array
    weighted: bool = True  # whether scikit-learn's takes sample weights

    def ours(self, **more: Any) -> Any:
        return getattr(regfast, self.name)(**self.arguments | more)

    def theirs(self, **more: Any) -> Any:
        return getattr(theirs, self.name)(**self.arguments | more)

    @property
    def classifies(self) -> bool:
        return self.y.dtype.kind == "U"


def entry(name: str, kind: str, weighted: bool = True, **arguments: Any) -> Entry:
    return Entry(name, arguments, RESPONSES[kind], weighted)


TIGHT: dict[str, Any] = {"tol": 1e-11, "max_iter": 100_000}
GRID = {"cv": 3, "alphas": [0.5, 0.1, 0.02]}
CS: dict[str, Any] = {"Cs": [0.1, 1.0], "cv": 3, "scoring": "neg_log_loss", "use_legacy_attributes": False}
ROSTER: dict[str, Entry] = {
    "lasso": entry("Lasso", "number", alpha=0.1, **TIGHT),
    "positive lasso": entry("Lasso", "number", alpha=0.1, positive=True, **TIGHT),
    "lasso of several": entry("Lasso", "numbers", alpha=0.1, **TIGHT),
    "elastic net": entry("ElasticNet", "number", alpha=0.1, l1_ratio=0.4, fit_intercept=False, **TIGHT),
    "lasso cv": entry("LassoCV", "number", **GRID, **TIGHT),
    "elastic net cv": entry("ElasticNetCV", "number", l1_ratio=[0.3, 0.9], **GRID, **TIGHT),
    "tasks lasso": entry("MultiTaskLasso", "numbers", False, alpha=0.1, **TIGHT),
    "tasks elastic net": entry("MultiTaskElasticNet", "numbers", False, alpha=0.1, l1_ratio=0.4, **TIGHT),
    "tasks lasso cv": entry("MultiTaskLassoCV", "numbers", False, **GRID, **TIGHT),
    "tasks elastic net cv": entry("MultiTaskElasticNetCV", "numbers", False, l1_ratio=0.6, **GRID, **TIGHT),
    "ridge": entry("Ridge", "number", alpha=2.0),
    "ridge of several": entry("Ridge", "numbers", alpha=2.0),
    "ridge cv": entry("RidgeCV", "number", alphas=[0.5, 2.0, 8.0]),
    "ridge classifier": entry("RidgeClassifier", "two", alpha=2.0, class_weight="balanced"),
    "ridge classifier of three": entry("RidgeClassifier", "three", alpha=2.0),
    "ridge classifier cv": entry("RidgeClassifierCV", "three", alphas=[0.5, 2.0, 8.0]),
    "logistic l2": entry("LogisticRegression", "two", C=0.7, tol=1e-10, max_iter=10_000),
    "logistic l1": entry("LogisticRegression", "two", C=0.7, l1_ratio=1.0, solver="saga", class_weight="balanced",
                         **TIGHT),
    "logistic of three": entry("LogisticRegression", "three", C=0.7, l1_ratio=0.5, solver="saga", **TIGHT),
    "logistic cv": entry("LogisticRegressionCV", "two", l1_ratios=[0.0], tol=1e-10, max_iter=10_000, **CS),
    "logistic cv of three": entry("LogisticRegressionCV", "three", l1_ratios=[0.0], tol=1e-10, max_iter=10_000,
                                  class_weight={"red": 2.0}, **CS),
    "poisson": entry("PoissonRegressor", "count", alpha=0.1, tol=1e-10, max_iter=1000),
    "gamma": entry("GammaRegressor", "amount", alpha=0.1, tol=1e-10, max_iter=1000),
    "tweedie": entry("TweedieRegressor", "count", alpha=0.1, power=1.5, tol=1e-10, max_iter=1000),
    "tweedie 0": entry("TweedieRegressor", "number", alpha=0.1, power=0, tol=1e-10, max_iter=1000),
}
