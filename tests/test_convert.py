"""to_sklearn and from_sklearn: the same class, parameters, attributes and predictions, alone and inside others."""

import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from roster import ETA, RESPONSES, ROSTER, W, X
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import regfast
from regfast import from_sklearn, to_sklearn
from regfast.patch import CLASSES

FRAME = pd.DataFrame(X, columns=list("abcde"))
NUMBER, TWO = RESPONSES["number"], RESPONSES["two"]
READS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
every = pytest.mark.parametrize("name", ROSTER)


def fitted_attributes(est: Any) -> set[str]:
    return {name for name in vars(est) if name.endswith("_") and not name.startswith("_")}


def same(a: Any, b: Any, **tolerance: float) -> None:
    """Equal in every way of predicting that either has."""
    reads = [read for read in READS if hasattr(a, read)]
    assert reads == [read for read in READS if hasattr(b, read)]
    for read in reads:
        one, other = getattr(a, read)(FRAME), getattr(b, read)(FRAME)
        if one.dtype.kind == "f":
            assert_allclose(one, other, rtol=1e-12, atol=1e-12)
        else:
            assert_array_equal(one, other)


def test_every_estimator_has_a_sibling() -> None:
    found = {name for name in regfast.__all__ if inspect.isclass(value := getattr(regfast, name))
             and hasattr(value, "get_params")}
    assert found == set(CLASSES) == {entry.name for entry in ROSTER.values()}


@every
def test_there_and_back(name: str) -> None:
    entry = ROSTER[name]
    fit_args = {"sample_weight": W} if entry.weighted else {}
    ours = entry.ours().fit(FRAME, entry.y, **fit_args)
    there = ours.to_sklearn()
    assert type(there) is getattr(theirs, entry.name)
    assert there.get_params() == {key: value for key, value in ours.get_params().items() if key in there.get_params()}
    fresh = entry.theirs().fit(FRAME, entry.y)
    assert fitted_attributes(there) >= fitted_attributes(fresh)
    for attribute in fitted_attributes(fresh) - {"solver_", "n_iter_"}:
        one, other = getattr(there, attribute), getattr(fresh, attribute)
        assert np.shape(one) == np.shape(other) if not isinstance(one, dict) else one.keys() == other.keys(), attribute
    same(ours, there)
    same(there, pickle.loads(pickle.dumps(there)))
    assert there.coef_ is not ours.coef_
    assert_allclose(clone(there).fit(FRAME, entry.y, **fit_args).coef_, ours.coef_, atol=1e-3)  # the same objective
    back = from_sklearn(there)
    assert type(back) is type(ours)
    same(ours, back)
    assert_array_equal(from_sklearn(fresh).coef_, fresh.coef_)
    same(from_sklearn(fresh), fresh)
    assert_allclose(back.score(FRAME, entry.y), ours.score(FRAME, entry.y), rtol=1e-12)
    assert_allclose(there.score(FRAME, entry.y), ours.score(FRAME, entry.y), rtol=1e-9)


@every
def test_not_fitted(name: str) -> None:
    entry = ROSTER[name]
    there = entry.ours().to_sklearn()
    assert not fitted_attributes(there)
    assert repr(there) == repr(entry.theirs())
    assert repr(from_sklearn(there)) == repr(entry.ours())


@pytest.mark.parametrize("name", ["poisson", "gamma", "tweedie"])
def test_what_is_lost_is_said(name: str) -> None:
    entry = ROSTER[name]
    ours = entry.ours(l1_ratio=0.5).fit(FRAME, entry.y)
    with pytest.warns(UserWarning, match=r"has no l1_ratio=0.5: the converted model predicts the same, but a new fit"):
        there = ours.to_sklearn()
    same(ours, there)


SOLVERS: list[tuple[Any, str]] = [
    (regfast.LogisticRegression(l1_ratio=1), "saga"), (regfast.LogisticRegression(solver="liblinear"), "lbfgs"),
    (regfast.LogisticRegression(l1_ratio=1, solver="liblinear"), "saga"),
    (regfast.LogisticRegressionCV(l1_ratios=[0, 0.5], solver="newton-cg"), "saga")]


@pytest.mark.parametrize(("ours", "solver"), SOLVERS)
def test_solvers_that_scikit_learn_would_refuse(ours: Any, solver: str) -> None:
    with pytest.warns(UserWarning, match=f"converted to solver='{solver}'"):
        assert ours.to_sklearn().solver == solver


def test_metadata_requests_are_kept() -> None:
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        ours = regfast.Lasso().set_fit_request(sample_weight=True)
        there = ours.to_sklearn()
        back = from_sklearn(there)
        for model in there, back:
            assert model.get_metadata_routing().fit.requests == {"sample_weight": True, "check_input": None}


# -------------------------------------------------------------------------------------------- inside others

INSIDE: dict[str, Any] = {
    "pipeline": lambda lib: make_pipeline(StandardScaler(), lib.Lasso(0.1)),
    "selection": lambda lib: make_pipeline(SelectFromModel(lib.Lasso(0.1)), lib.Ridge()),
    "search": lambda lib: GridSearchCV(make_pipeline(StandardScaler(), lib.ElasticNet()),
                                       {"elasticnet__alpha": [0.01, 0.1]}, cv=3),
    "models as parameters": lambda lib: GridSearchCV(make_pipeline(StandardScaler(), lib.Lasso(0.1)), [
        {"lasso": [lib.Lasso(0.1), lib.Ridge()]}, {"lasso__alpha": [0.2]}], cv=3),
    "columns": lambda lib: make_pipeline(ColumnTransformer([
        ("chosen", SelectFromModel(lib.Lasso(0.1)), list("abc"))], remainder="passthrough"), lib.Ridge()),
    "stack": lambda lib: StackingRegressor([("a", lib.Lasso(0.1)), ("b", lib.Ridge())], lib.RidgeCV([0.1, 1.0])),
    "bag": lambda lib: BaggingRegressor(lib.Ridge(), n_estimators=3, random_state=0),
    "target": lambda lib: TransformedTargetRegressor(lib.Lasso(0.1), func=np.cbrt, inverse_func=lambda v: v**3),
}


def held(est: Any) -> set[str]:
    """Libraries of the estimators that `est` holds and that both libraries have."""
    text = [type(est)] if not hasattr(est, "__dict__") else []
    stack, seen = [est], set()
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if type(x).__name__ in CLASSES:
            text.append(type(x))
        if isinstance(x, dict):
            stack += list(x.values())
        elif isinstance(x, (list, tuple)):
            stack += list(x)
        elif isinstance(x, np.ndarray) and x.dtype == object:
            stack += list(x.ravel())
        elif hasattr(x, "get_params"):
            stack += list(vars(x).values())
    return {cls.__module__.split(".")[0] for cls in text}


@pytest.mark.parametrize("name", INSIDE)
def test_inside_others(name: str) -> None:
    ours = INSIDE[name](regfast).fit(FRAME, NUMBER)
    before = ours.predict(FRAME)
    there = to_sklearn(ours)
    assert held(there) == {"sklearn"}
    assert held(ours) == {"regfast"}  # which is left as it was
    if hasattr(there, "cv_results_"):
        for key, values in ours.cv_results_.items():
            assert_array_equal(np.ma.getmaskarray(there.cv_results_[key]), np.ma.getmaskarray(values))
    assert_allclose(there.predict(FRAME), before, rtol=1e-12)
    back = from_sklearn(INSIDE[name](theirs).fit(FRAME, NUMBER))
    assert held(back) == {"regfast"}
    assert_allclose(back.predict(FRAME), INSIDE[name](theirs).fit(FRAME, NUMBER).predict(FRAME), rtol=1e-12)
    assert held(to_sklearn(clone(ours))) == {"sklearn"}  # not fitted
    assert_allclose(clone(back).fit(FRAME, NUMBER).predict(FRAME), before, rtol=1e-9)


def test_refusals() -> None:
    with pytest.raises(TypeError, match=r"est must be, or hold, an estimator of scikit-learn .*StandardScaler"):
        from_sklearn(StandardScaler())
    with pytest.raises(TypeError, match=r"est must be, or hold, an estimator of scikit-learn .*LassoLars"):
        from_sklearn(theirs.LassoLars())
    with pytest.raises(TypeError, match=r"an estimator of regfast with one of the names Lasso, .*sklearn"):
        to_sklearn(theirs.Lasso())


# ---------------------------------------------------------------------------------------------------- paths

PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "lasso": ("number", {}), "positive": ("number", {"bounds": (0, np.inf)}), "net": ("number", {"l1_ratio": 0.4}),
    "ridge": ("number", {"l1_ratio": 0.0, "fit_intercept": False}), "two": ("two", {"family": "binomial"}),
    "three": ("three", {"family": "multinomial", "l1_ratio": 0.0}),
    "count": ("count", {"family": "poisson", "l1_ratio": 0.0}),
    "amount": ("amount", {"family": "gamma", "l1_ratio": 0.0}),
    "tweedie": ("count", {"family": "tweedie(1.5)", "l1_ratio": 0.0}),
    "numbers": ("numbers", {"family": "multigaussian"}),
}


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("name", PATHS)
def test_paths(name: str, standardize: bool) -> None:
    kind, options = PATHS[name]
    y = RESPONSES[kind]
    path = regfast.fit_path(FRAME, y, alphas=[0.3, 0.05], standardize=standardize, tol=1e-11, **options)
    there = path.to_sklearn(0.05)
    assert type(there).__module__.startswith("sklearn")
    response = path.predict(FRAME, 0.05)
    if kind in ("two", "three"):
        assert_array_equal(there.predict(FRAME), path.predict(FRAME, 0.05, kind="class"))
        found = there.predict_proba(FRAME)
        assert_allclose(found[:, 1] if kind == "two" else found, response, rtol=1e-12)
    else:
        assert_allclose(there.predict(FRAME), response, rtol=1e-12)
    if not standardize:  # then the parameters say it all
        assert regfast.certify_estimator(there, FRAME, y).gap < 1e-9
    same(from_sklearn(there), there)


def test_rules_and_refusals_of_paths() -> None:
    chosen = regfast.fit_cv(FRAME, NUMBER, cv=4)
    assert_allclose(chosen.to_sklearn("1se").predict(FRAME), chosen.predict(FRAME, "1se"), rtol=1e-12)
    path = regfast.fit_path(FRAME, RESPONSES["count"], family="poisson", alphas=[0.1], l1_ratio=0.5)
    with pytest.warns(UserWarning, match="PoissonRegressor has no l1_ratio=0.5"):
        assert_allclose(path.to_sklearn(0.1).predict(FRAME), path.predict(FRAME, 0.1), rtol=1e-12)
    with pytest.raises(ValueError, match="fitted with an offset, which no estimator"):
        regfast.fit_path(X, NUMBER, offset=ETA, n_alphas=2).to_sklearn(0.1)
    with pytest.raises(ValueError, match="has no labels"):
        regfast.fit_path(X, np.linspace(0.1, 0.9, len(X)), family="binomial", alphas=[0.1]).to_sklearn(0.1)


def test_the_code_in_the_docs_runs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "migrating.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {"X": X, "y": NUMBER}
    try:
        for block in blocks:
            exec(block, names)
    finally:
        regfast.unpatch_sklearn()
