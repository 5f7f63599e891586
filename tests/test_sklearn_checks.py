"""scikit-learn's checks of estimators, for every one that is here, as its own suite builds them."""

from typing import Any

import pytest
import sklearn
import sklearn.linear_model as theirs
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

import regfast

FOLDS = {"max_iter": 5, "cv": 3}
PARAMETERS: dict[str, dict[str, Any]] = {
    "ElasticNet": {"max_iter": 5}, "ElasticNetCV": FOLDS, "GammaRegressor": {"max_iter": 5}, "Lasso": {"max_iter": 5},
    "LassoCV": FOLDS, "LogisticRegression": {"max_iter": 5},
    "LogisticRegressionCV": {**FOLDS, "use_legacy_attributes": False, "scoring": "neg_log_loss"},
    "MultiTaskElasticNet": {"max_iter": 5}, "MultiTaskElasticNetCV": FOLDS, "MultiTaskLasso": {"max_iter": 5},
    "MultiTaskLassoCV": FOLDS, "PoissonRegressor": {"max_iter": 5}, "Ridge": {}, "RidgeCV": {}, "RidgeClassifier": {},
    "RidgeClassifierCV": {}, "TweedieRegressor": {"max_iter": 5},
}  # fmt: skip
OTHERS = [  # what its suite has for single checks, and what the engine treats apart
    regfast.Lasso(alpha=0.1, positive=True), regfast.LogisticRegression(class_weight="balanced"),
    regfast.LogisticRegression(l1_ratio=1), regfast.PoissonRegressor(solver="newton-cholesky"),
    regfast.Ridge(positive=True), regfast.RidgeCV(cv=3), regfast.TweedieRegressor(power=1.5),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # as in its own suite: max_iter=5
@parametrize_with_checks([getattr(regfast, name)(**given) for name, given in PARAMETERS.items()] + OTHERS)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_none_is_forgotten() -> None:
    public = {name for name in regfast.__all__ if isinstance(getattr(regfast, name), type)
              and issubclass(getattr(regfast, name), BaseEstimator)}
    assert public == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.skipif(sklearn.__version__ < "1.9", reason="parameters are those of scikit-learn 1.9")
def test_parameters_and_defaults_are_scikit_learns(name: str) -> None:
    a, b = (getattr(module, name)().get_params() for module in (regfast, theirs))
    if name == "LogisticRegressionCV":  # what it announces, where its own default is to change
        b |= {"scoring": "neg_log_loss", "use_legacy_attributes": False}
    if name in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor"):
        assert a.pop("l1_ratio") == 0.0  # one more than there
    assert list(a) == list(b)
    assert a == b
