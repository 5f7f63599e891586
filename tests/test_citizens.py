"""Every estimator among scikit-learn's tools: what works with its own works with these, and gives the same."""

import dataclasses
import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from roster import ETA, RESPONSES, ROSTER, N, X
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_halving_search_cv as _enabled
from sklearn.feature_selection import SelectFromModel
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import regfast

assert _enabled  # the import is what counts
every = pytest.mark.parametrize("name", ROSTER)
FRAME = pd.DataFrame(X, columns=list("abcde"))


def close(one: Any, other: Any) -> None:
    if np.asarray(one).dtype.kind == "f":
        assert_allclose(one, other, rtol=1e-5, atol=2e-5)
    else:
        assert_array_equal(one, other)


@every
def test_clone(name: str) -> None:
    ours = ROSTER[name].ours()
    twin = clone(ours.fit(X, ROSTER[name].y))
    assert type(twin) is type(ours)
    assert twin.get_params() == ours.get_params()
    assert not hasattr(twin, "coef_")
    assert_array_equal(twin.fit(X, ROSTER[name].y).coef_, ours.coef_)


@every
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_pipeline_and_set_output(name: str, container: str) -> None:
    """Names go through, and predictions are those of scikit-learn's estimator in the same place."""
    entry = ROSTER[name]
    table = FRAME if container == "pandas" else pl.DataFrame(X, schema=list("abcde"))
    ours, other = (make_pipeline(StandardScaler().set_output(transform=container), est).fit(table, entry.y)
                   for est in (entry.ours(), entry.theirs()))
    assert_array_equal(ours[-1].feature_names_in_, list("abcde"))
    close(ours.predict(table), other.predict(table))
    assert ours.score(table, entry.y) == pytest.approx(other.score(table, entry.y), abs=1e-5)


@every
def test_select_from_model(name: str) -> None:
    entry = ROSTER[name]
    ours, other = (SelectFromModel(est, max_features=2, threshold=1e-4).set_output(transform="pandas").fit(
        FRAME, entry.y) for est in (entry.ours(), entry.theirs()))
    assert_array_equal(ours.get_support(), other.get_support())
    kept = ours.transform(FRAME)
    assert list(kept.columns) == list(ours.get_feature_names_out())
    assert 0 < kept.shape[1] <= 2
    ready = SelectFromModel(ours.estimator_, prefit=True, max_features=2, threshold=1e-4)
    assert_array_equal(ready.fit(FRAME).transform(FRAME), kept.to_numpy())


@every
def test_halving_search(name: str) -> None:
    entry = ROSTER[name]
    found = [HalvingGridSearchCV(est, {"fit_intercept": [True, False]}, cv=KFold(2), factor=2, min_resources=30,
                                 max_resources=N, random_state=0).fit(X, entry.y)
             for est in (entry.ours(), entry.theirs())]
    assert found[0].best_params_ == found[1].best_params_
    assert found[0].n_resources_ == [30, 60]
    close(found[0].predict(X), found[1].predict(X))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend: str) -> None:
    """All of them at once: to processes and back, and in threads on the one X."""
    def work(**options: Any) -> list[Any]:
        return list(joblib.Parallel(n_jobs=2, **options)(
            joblib.delayed(cross_val_predict)(entry.ours(), X, entry.y, cv=3) for entry in ROSTER.values()))

    for found, wanted in zip(work(backend=backend), work(backend="sequential"), strict=True):
        assert_array_equal(found, wanted)


# -------------------------------------------------------------------------------------------------- on disk

PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian": ("number", {"penalty_factors": [1, 2, 0.5, 1, np.inf], "bounds": (-np.inf, 2.0)}),
    "binomial": ("two", {"family": "binomial"}),
    "poisson": ("count", {"family": "poisson", "offset": np.sin(ETA)}),
    "gamma": ("amount", {"family": "gamma", "l1_ratio": 0.5}),
    "tweedie": ("count", {"family": "tweedie(1.3)"}),
    "multinomial": ("three", {"family": "multinomial"}),
    "grouped": ("three", {"family": "multinomial", "group_classes": True, "l1_ratio": 0.5}),
    "multigaussian": ("numbers", {"family": "multigaussian"}),
    "ridge": ("number", {"l1_ratio": 0.0}),
}
SHORT: dict[str, Any] = {"n_alphas": 4, "eps": 0.05, "early_stop": False}


def results(name: str) -> Iterator[Any]:
    """A path and a cross-validated one with everything that it can keep."""
    kind, options = PATHS[name]
    yield regfast.fit_path(FRAME, RESPONSES[kind], **SHORT, **options)
    yield regfast.fit_cv(FRAME, RESPONSES[kind], cv=3, keep_folds=True, **SHORT, **options)


def identical(a: Any, b: Any) -> None:
    """The same types, shapes and bits, all the way down."""
    assert type(a) is type(b)
    if dataclasses.is_dataclass(a):
        for part in dataclasses.fields(a):
            identical(getattr(a, part.name), getattr(b, part.name))
    elif sp.issparse(a):
        assert a.shape == b.shape
        for part in ("data", "indices", "indptr"):
            assert_array_equal(getattr(a, part), getattr(b, part), strict=True)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            identical(one, other)
    elif isinstance(a, np.ndarray):
        assert_array_equal(a, b, strict=True)
        if a.dtype.kind == "f":
            assert a.tobytes() == b.tobytes() or np.isnan(a).any()
    else:
        assert a == b


@pytest.mark.filterwarnings("ignore:the best alpha")  # of a short grid the last is often best: not the question here
@pytest.mark.parametrize("name", PATHS)
def test_json_bit_for_bit(name: str, tmp_path: File) -> None:
    for result in results(name):
        result.save(tmp_path / "model.json")
        json.loads((tmp_path / "model.json").read_text(), parse_constant=pytest.fail)  # strict JSON
        identical(regfast.load(tmp_path / "model.json"), result)


class Noting(pickle.Unpickler):
    """Loads, and notes what it was told to import."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.names: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add((module, name))
        return super().find_class(module, name)


def plain(data: bytes) -> Any:
    """What a pickle holds, provided that it is public classes of this library, arrays and scikit-learn's own binarizer.

    No code object, no kernel and no private module of ours: nothing that depends on the Python or the build.
    """
    noting = Noting(data)
    out = noting.load()
    for module, name in noting.names:
        root, _, rest = module.partition(".")
        if root == "regfast":
            assert not rest.startswith("_"), (module, name)
            assert not name.startswith("_"), (module, name)
        elif root == "sklearn":
            assert name in ("LabelBinarizer", "KFold", "StratifiedKFold"), (module, name)
        else:
            assert root in ("numpy", "scipy", "builtins", "copyreg", "_codecs"), (module, name)
            assert name not in ("eval", "exec", "getattr", "__import__"), (module, name)
    return out


@every
def test_pickles_of_estimators_hold_plain_things(name: str) -> None:
    ours = ROSTER[name].ours().fit(FRAME, ROSTER[name].y)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert_array_equal(plain(pickle.dumps(ours, protocol)).predict(FRAME), ours.predict(FRAME))


@pytest.mark.filterwarnings("ignore:the best alpha")  # of a short grid the last is often best: not the question here
@pytest.mark.parametrize("name", PATHS)
def test_pickles_of_results_hold_plain_things(name: str) -> None:
    for result in results(name):
        identical(plain(pickle.dumps(result)), result)


# ----------------------------------------------------------------------------------- a program, unchanged


def data(rows: int = 240) -> tuple[dict[str, Any], Any, Any, Any]:
    """Columns of a table with text and numbers, labels, groups and weights."""
    rng = np.random.default_rng(11)
    columns = {"age": rng.normal(50, 12, rows), "dose": rng.lognormal(0, 1, rows),
               "site": rng.choice(["north", "south", "east"], rows), "sex": rng.choice(["f", "m"], rows)}
    eta = 0.05 * (columns["age"] - 50) + 0.3 * columns["dose"] - (columns["site"] == "east") - 0.3
    return columns, np.where(eta + rng.logistic(size=rows) > 0, "ill", "well"), rng.integers(0, 24, rows), rng.uniform(
        0.5, 2, rows)


def program() -> Any:
    """A search as its author wrote it; `sklearn.linear_model` may be anybody's."""
    from sklearn.linear_model import LogisticRegressionCV

    prepare = ColumnTransformer([("text", OneHotEncoder(drop="first"), ["site", "sex"]),
                                 ("numbers", StandardScaler().set_fit_request(sample_weight=False), ["age", "dose"])])
    scoring = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
    model = LogisticRegressionCV(Cs=5, cv=GroupKFold(4), scoring=scoring, tol=1e-12, max_iter=10_000,
                                 solver="newton-cholesky", l1_ratios=(0.0,), use_legacy_attributes=False)
    model.set_fit_request(sample_weight=True)
    steps = Pipeline([("prepare", prepare), ("model", model)])
    return GridSearchCV(steps, {"prepare__text__drop": ["first", None], "model__fit_intercept": [True, False]},
                        cv=GroupKFold(3))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_program_runs_unchanged(frame: Any) -> None:
    columns, y, groups, w = data()
    table, found = frame(columns), []
    with sklearn.config_context(enable_metadata_routing=True):
        for patched in (False, True):
            if patched:
                regfast.patch_sklearn()
            try:
                found.append(program().fit(table, y, sample_weight=w, groups=groups))
            finally:
                regfast.unpatch_sklearn()
        theirs, ours = found
        assert type(ours.best_estimator_[-1]) is regfast.LogisticRegressionCV
        assert type(theirs.best_estimator_[-1]) is not regfast.LogisticRegressionCV
        assert ours.best_params_ == theirs.best_params_
        assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-6)
        assert_allclose(ours.predict_proba(table), theirs.predict_proba(table), atol=1e-6)
        assert_allclose(regfast.to_sklearn(ours).predict_proba(table), ours.predict_proba(table), rtol=1e-12)
        assert_array_equal(ours.predict(table), theirs.predict(table))
        assert ours.score(table, y, sample_weight=w) == pytest.approx(theirs.score(table, y, sample_weight=w), rel=1e-6)
