"""Likelihoods as users meet them: labels of every type, folds that cannot be fitted, scorers, interrupts, storage."""

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_tweedie_deviance, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, StratifiedKFold, TimeSeriesSplit

import regfast
from regfast import certify, cv, fit_cv, fit_path

RNG = np.random.default_rng(0)
N, P = 80, 6
X = RNG.standard_normal((N, P))
ETA = X[:, 0] - X[:, 1]
SECOND = RNG.logistic(size=N) < ETA
TEXT = np.where(SECOND, "yes", "no")
OFFSET, WEIGHT = RNG.normal(size=N), RNG.uniform(0.5, 2, N)
Y: dict[str, Any] = {
    "binomial": SECOND.astype(int),
    "poisson": RNG.poisson(np.exp(ETA / 2)),
    "gamma": RNG.gamma(2, np.exp(ETA / 2)),
    "tweedie(1.5)": np.where(RNG.random(N) < 0.3, 0, RNG.gamma(2, np.exp(ETA / 2))),
}
POWER = {"poisson": 1, "gamma": 2, "tweedie(1.5)": 1.5}
SHORT: dict[str, Any] = {"n_alphas": 8, "eps": 1e-3, "early_stop": False}
HALVES = [(np.arange(40), np.arange(40, N)), (np.arange(40, N), np.arange(40))]
every_family = pytest.mark.parametrize("family", Y)


def same(a: regfast.Path, b: regfast.Path) -> None:
    """Bit for bit."""
    assert_array_equal(a.coefs.toarray(), b.coefs.toarray())
    assert_array_equal(a.intercepts, b.intercepts)


def mean_deviance(family: str, y: Any, mean: Any, w: Any = None) -> float:
    if family == "binomial":
        return float(2 * log_loss(y, mean, sample_weight=w))
    return float(mean_tweedie_deviance(y, mean, sample_weight=w, power=POWER[family]))


# ---- labels


LABELS: dict[str, tuple[Any, list[Any]]] = {
    "text": (TEXT, ["no", "yes"]),
    "objects": (TEXT.astype(object), ["no", "yes"]),
    "list": (TEXT.tolist(), ["no", "yes"]),
    "column": (TEXT[:, None], ["no", "yes"]),
    "frame": (pd.DataFrame({"y": TEXT}), ["no", "yes"]),
    "reindexed": (pd.Series(TEXT, index=np.arange(N)[::-1]), ["no", "yes"]),
    "Categorical": (pd.Categorical(TEXT, categories=["yes", "no", "never"]), ["no", "yes"]),
    "category": (pd.Series(TEXT, dtype="category"), ["no", "yes"]),
    "string": (pd.Series(TEXT, dtype="string"), ["no", "yes"]),
    "polars": (pl.Series(TEXT.tolist(), dtype=pl.Categorical), ["no", "yes"]),
    "arrow": (pa.chunked_array([TEXT.tolist()]), ["no", "yes"]),
    "bytes": (TEXT.astype("S"), [b"no", b"yes"]),
    "bool": (SECOND, [False, True]),
    "bool objects": (SECOND.astype(object), [False, True]),
    "boolean": (pd.Series(SECOND, dtype="boolean"), [False, True]),
    "int objects": (np.where(SECOND, 5, -3).astype(object), [-3, 5]),
    "Int64": (pd.Series(np.where(SECOND, 5, -3), dtype="Int64"), [-3, 5]),
    "float32": (np.where(SECOND, 5, 2).astype(np.float32), [2.0, 5.0]),
    "long double": (SECOND.astype(np.longdouble), [0.0, 1.0]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_type_are_one_problem_and_survive_a_file(kind: str, tmp_path: Any) -> None:
    y, classes = LABELS[kind]
    path = fit_path(X, y, family="binomial", **SHORT)
    same(path, fit_path(X, SECOND.astype(float), family="binomial", **SHORT))
    path.save(tmp_path / "m.json")
    for found in (path, regfast.load(tmp_path / "m.json")):
        assert found.classes_.tolist() == classes
        assert found.classes_.dtype.kind == np.array(classes).dtype.kind
        chosen = found.predict(X, found.alphas[-1], kind="class")
        assert_array_equal(chosen == classes[1], found.predict(X, found.alphas[-1]) > 0.5)


def lacking(y: Any, value: Any) -> Any:
    out = y.copy()
    out[3] = value
    return out


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "None": (lacking(TEXT.astype(object), None), ValueError, "Input y contains NaN, first at position 3"),
    "NaN": (lacking(TEXT.astype(object), np.nan), ValueError, "Input y contains NaN, first at position 3"),
    "NaN of numbers": (lacking(Y["binomial"].astype(object), np.nan), ValueError, "y contains NaN, first at pos"),
    "NA": (lacking(pd.Series(TEXT, dtype="string"), pd.NA), ValueError, "Input y contains NaN, first at position 3"),
    "NA of booleans": (lacking(pd.Series(SECOND, dtype="boolean"), pd.NA), ValueError, "y contains NaN, first at pos"),
    "category": (lacking(pd.Series(TEXT, dtype="category"), np.nan), ValueError, "Input y contains NaN, first at pos"),
    "mixed": (lacking(TEXT.astype(object), 1), TypeError, "y must hold labels of one type.*mixture of number and str"),
    "masked": (np.ma.array(TEXT, mask=np.arange(N) < 2), ValueError, "y is a masked array with 2 masked entries"),
    "sparse": (sp.csr_array(Y["binomial"][:, None]), TypeError, r"y must be dense; got a sparse matrix of shape"),
    "dates": (np.where(SECOND, "2020-01-01", "2021-01-01").astype("M8[D]"), TypeError, "must hold labels .*datetime64"),
    "complex": (SECOND.astype(complex), TypeError, "y must hold labels that are real numbers .* dtype complex"),
    "short": (TEXT[:5], ValueError, r"y must be \(80,\) labels; got shape \(5,\)"),
    "wide": (np.ones((N, 3)), ValueError, r"y must be \(80,\) labels; got shape \(80, 3\)"),
    "three": (np.arange(N) % 3, ValueError, "y must hold two classes for family='binomial'; got 3: 0, 1, 2"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_label_is_said(kind: str) -> None:
    y, error, message = BAD[kind]
    for call in (fit_path, fit_cv):
        with pytest.raises(error, match=message):
            call(X, y, family="binomial")


# ---- folds and scores


def test_a_fold_that_no_model_can_be_fitted_to_is_named() -> None:
    one_class = r"cv: in the training rows of fold 0, y must hold both classes .* got only the first"
    order = np.argsort(~SECOND, kind="stable")[::-1]  # the first class first
    count = SECOND.sum()
    halves = [(np.arange(N - count), np.arange(N - count, N)), (np.arange(0, N, 2), np.arange(1, N, 2))]
    with pytest.raises(ValueError, match=one_class):
        fit_cv(X[order], TEXT[order], family="binomial", cv=halves)
    weightless = np.where(SECOND & (np.arange(N) < 40), 0.0, 1.0)
    with pytest.raises(ValueError, match=one_class):
        fit_cv(X, TEXT, family="binomial", cv=HALVES, sample_weight=weightless)
    with pytest.raises(ValueError, match=r"cv: in the training rows of fold 0, y must have a positive value"):
        fit_cv(X, np.where(np.arange(N) < 40, 0, 1), family="poisson", cv=HALVES)
    nearly = (X[:, 0] > 0) & (X[:, 0] < X[:, 0].max())  # without one row, column 0 tells the classes apart
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match=r"cv: in the training rows of a fold, columns without penalty predict y"):
            fit_cv(X, nearly, family="binomial", cv=4, penalty_factors=np.arange(P), n_jobs=n_jobs)
    fit_cv(X, np.where(np.arange(N) < 40, 0.0, 1), cv=HALVES, n_alphas=3)  # squared error can do that


METRICS: dict[str, tuple[Any, Any]] = {
    "roc_auc": (roc_auc_score, "response"),
    "neg_log_loss": (lambda *a, **w: -log_loss(*a, **w), "response"),
    "accuracy": (accuracy_score, "class"),
    "balanced_accuracy": (balanced_accuracy_score, "class"),
    "neg_mean_poisson_deviance": (lambda *a, **w: -mean_tweedie_deviance(*a, **w, power=1), "response"),
    "neg_mean_gamma_deviance": (lambda *a, **w: -mean_tweedie_deviance(*a, **w, power=2), "response"),
}
SCORING = [("binomial", name) for name in list(METRICS)[:4]] + [("gamma", "neg_mean_gamma_deviance")]
SCORING += [(family, "neg_mean_poisson_deviance") for family in POWER]


@pytest.mark.parametrize(("family", "name"), SCORING)
def test_scores_are_those_of_scikit_learn_on_models_fitted_by_hand(family: str, name: str) -> None:
    y = TEXT if family == "binomial" else Y[family]
    folds = list(StratifiedKFold(4).split(X, TEXT))
    found = fit_cv(X, y, family=family, cv=folds, scoring=name, sample_weight=WEIGHT, offset=OFFSET, **SHORT)
    metric, kind = METRICS[name]
    for k, (train, test) in enumerate(folds):
        path = fit_path(X[train], y[train], family=family, alphas=found.path.alphas, sample_weight=WEIGHT[train],
                        offset=OFFSET[train])
        shown = path.predict(X[test], offset=OFFSET[test], kind=kind)
        want = [metric(y[test], column, sample_weight=WEIGHT[test]) for column in shown.T]
        assert_allclose(found.scores[k], want, atol=1e-5)
    assert found.alpha_min == found.path.alphas[np.argmax(found.score_mean)]


@pytest.mark.parametrize(("family", "y", "scoring", "message"), [
    ("poisson", Y["poisson"], "roc_auc", "scoring='roc_auc' cannot score family='poisson': .*decision_function"),
    ("gamma", Y["gamma"], "accuracy", "scoring='accuracy' cannot score family='gamma'"),
    ("binomial", TEXT, "f1", "scoring='f1' cannot score family='binomial': pos_label=1 is not a valid label"),
    ("binomial", Y["gamma"] / 20, "neg_log_loss", "scoring='neg_log_loss' cannot score family='binomial'"),
    ("binomial", TEXT, roc_auc_score, "scoring=<function roc_auc_score .* cannot score family='binomial'"),
    ("binomial", TEXT, "logloss", "'scoring' parameter .* Got 'logloss'"),
])  # fmt: skip
def test_what_cannot_score_is_said_before_the_work(family: str, y: Any, scoring: Any, message: str,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv, "solve", lambda *_, **__: pytest.fail("worked first"))
    with pytest.raises(ValueError, match=message):
        fit_cv(X, y, family=family, scoring=scoring)


def test_a_score_that_is_not_defined_is_no_score() -> None:
    for family, scoring in (("binomial", "roc_auc"), ("poisson", "r2")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=rf"scoring='{scoring}' is not defined .* fold 0: got NaN"):
                fit_cv(X, Y[family], family=family, cv=LeaveOneOut(), scoring=scoring, n_alphas=3)


@pytest.mark.filterwarnings("ignore:the best alpha")  # of a short grid the edge is often best, and is told, rightly
def test_a_row_far_away_does_not_break_the_mean() -> None:
    """A log link predicts e^1000 there, in the fold that has not seen it."""
    far = X.copy()
    far[5] *= 3000
    for family in POWER:
        with np.errstate(over="ignore"):
            found = fit_cv(far, Y[family], family=family, cv=KFold(4, shuffle=True, random_state=0), **SHORT)
        assert not np.isnan(found.score_se).any()
        assert np.isfinite(found.score_mean).any()
        assert found.alpha_1se >= found.alpha_min


@pytest.mark.filterwarnings("ignore:the best alpha")  # as above: which α is best is not the question here
@every_family
def test_every_row_by_the_fold_that_held_it_out(family: str) -> None:
    y = Y[family]
    for how in (LeaveOneOut(), GroupKFold(4), TimeSeriesSplit(3)):
        groups = np.array([f"g{i // 8}" for i in range(N)]) if isinstance(how, GroupKFold) else None
        found = fit_cv(X, y, family=family, cv=how, groups=groups, offset=OFFSET, n_alphas=4, early_stop=False)
        k = found.path.alphas.tolist().index(found.alpha_min)
        held = np.zeros(N, dtype=bool)
        for train, test in list(how.split(X, y, groups))[:6]:
            path = fit_path(X[train], y[train], family=family, alphas=found.path.alphas, offset=OFFSET[train])
            want = path.predict(X[test], path.alphas[k], offset=OFFSET[test])
            assert_allclose(found.oof_predictions[test], want, rtol=1e-4, atol=1e-6)
        for _, test in how.split(X, y, groups):
            held[test] = True
        assert_array_equal(np.isnan(found.oof_predictions), ~held)
        if held.all():
            assert_allclose(found.score_mean[k], mean_deviance(family, y, found.oof_predictions), rtol=1e-9)


# ---- use


@every_family
def test_storage_threads_and_files_change_nothing(family: str, tmp_path: Any) -> None:
    y, how = Y[family], {"family": family, "cv": 4, "l1_ratio": [0.3, 1.0], **SHORT}
    found = fit_cv(X, y, sample_weight=WEIGHT, offset=OFFSET, **how)
    memory = np.memmap(tmp_path / "x", dtype="f8", mode="w+", shape=X.shape)
    memory[:] = X
    memory.flush()
    wide = sp.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    frozen = [x.copy() for x in (X, y, WEIGHT, OFFSET)]
    for x in frozen:
        x.flags.writeable = False
    mapped = np.memmap(tmp_path / "x", dtype="f8", mode="r", shape=X.shape)
    for n_jobs, data in ((2, X), (1, mapped), (-1, frozen[0]), (1, pd.DataFrame(X)), (1, wide), (2, sp.csc_array(X))):
        again = fit_cv(data, frozen[1], sample_weight=frozen[2], offset=frozen[3], n_jobs=n_jobs, **how)
        if not isinstance(data, np.ndarray):  # another order of summation
            assert_allclose(again.path.coefs.toarray(), found.path.coefs.toarray(), atol=1e-4)
            continue
        same(again.path, found.path)
        assert_array_equal(again.scores, found.scores)
        assert_array_equal(again.oof_predictions, found.oof_predictions)
    found.save(tmp_path / "m.json")
    loaded = regfast.load(tmp_path / "m.json")
    same(loaded.path, found.path)
    assert_array_equal(loaded.predict(X, "1se", OFFSET), found.predict(X, "1se", OFFSET))
    assert_array_equal(pickle.loads(pickle.dumps(found)).predict(X, offset=OFFSET), found.predict(X, offset=OFFSET))
    assert found.path.to_frame()["n_nonzero"].tolist() == found.path.n_nonzero.tolist()
    alpha = found.path.alphas[3]
    proof = certify(X, y, found.path.coef_at(alpha), found.path.intercept_at(alpha), alpha=alpha, offset=OFFSET,
                    l1_ratio=found.l1_ratio_best, family=family, sample_weight=WEIGHT)
    assert proof.gap <= 1e-7


@every_family
def test_criteria_are_those_of_the_deviance(family: str) -> None:
    y, path = Y[family], fit_path(X, Y[family], family=family, n_alphas=30)
    deviance = np.array([mean_deviance(family, y, mean) for mean in path.predict(X).T])
    fit = N * (deviance if family in ("binomial", "poisson") else np.log(deviance))
    for name, cost in (("aic", 2.0), ("bic", np.log(N))):
        assert path.select(name) == path.alphas[np.argmin(fit + cost * (path.n_nonzero + 1))]
    assert path.n_nonzero[path.alphas == path.select(2)] <= 2


@every_family
def test_an_interrupt_carries_the_path_of_all_rows(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    y, whole = Y[family], fit_path(X, Y[family], family=family, **SHORT)

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit_path(X, y, family=family, progress=interrupt, **SHORT)
    assert_array_equal(vars(caught.value)["partial"].coefs.toarray(), whole.coefs.toarray()[:, :3])
    real, calls = cv.solve, []

    def solve(*args: Any, **how: Any) -> regfast.Path:
        calls.append(1)
        if len(calls) < 3:
            return real(*args, **how)
        error = KeyboardInterrupt()
        vars(error)["partial"] = "the path of a fold"
        raise error

    monkeypatch.setattr(cv, "solve", solve)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_cv(X, y, family=family, cv=4, **SHORT)
    same(vars(caught.value)["partial"], whole)


def test_counts_are_as_many_observations_as_they_count() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40, 6))
    trials = rng.integers(1, 9, 40)
    won = rng.binomial(trials, 1 / (1 + np.exp(-x[:, 0] + 0.5 * x[:, 1])))
    counts = np.column_stack([trials - won, won])
    rows = np.repeat(np.arange(40), trials)
    y = np.concatenate([np.arange(t) < k for t, k in zip(trials, won, strict=True)])
    few = regfast.fit_path(x, counts, family="binomial", standardize=False)
    many = regfast.fit_path(x[rows], y, family="binomial", standardize=False, alphas=few.alphas)
    assert few.n_samples == many.n_samples == trials.sum()
    assert few.select("ebic") == many.select("ebic")
