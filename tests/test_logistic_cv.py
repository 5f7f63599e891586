"""LogisticRegressionCV against scikit-learn's, against certificates of its folds, copies and repeated rows."""

import functools
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.linear_model as theirs
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, make_scorer, precision_score
from sklearn.model_selection import GroupKFold, LeaveOneOut, PredefinedSplit, StratifiedKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

import regfast
from regfast import LogisticRegression, LogisticRegressionCV
from regfast.scoring import log_losses

N = 90
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N, 4)) * [1, 2, 0.5, 1] + [0, 1, -1, 0.5]
NOISE = RNG.gumbel(size=(N, 3))
LABELS = {2: np.where(X[:, 0] + NOISE[:, 0] > NOISE[:, 1], "yes", "no"),
          3: np.argmax(np.column_stack([X[:, 0], X[:, 1], 2 * X[:, 2] + 2]) + NOISE, axis=1) - 1}
W = RNG.uniform(0.3, 2.0, N)
CS = [1.0, 0.2, 5.0]  # not in order
FOLDS = list(StratifiedKFold(3).split(X, LABELS[3]))
TIGHT = {"tol": 1e-12, "max_iter": 1000}
RATIOS = [(0.0,), (0.0, 0.5, 1.0)]
both = pytest.mark.parametrize("classes", [2, 3])


@parametrize_with_checks([LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, l1_ratios=(0.5,), class_weight="balanced",
                                               scoring=None, use_legacy_attributes=True, refit=False)])
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_parameters_are_scikit_learns_and_the_defaults_those_it_announces() -> None:
    a, b = LogisticRegressionCV().get_params(), theirs.LogisticRegressionCV().get_params()
    announced = {name: a.pop(name) for name, value in list(b.items()) if isinstance(value, str) and value == "warn"}
    assert a == {name: value for name, value in b.items() if name not in announced}
    assert announced == {"l1_ratios": "warn", "scoring": "neg_log_loss", "use_legacy_attributes": False}
    for part in ("input_tags", "target_tags", "classifier_tags"):
        one, other = LogisticRegressionCV().__sklearn_tags__(), theirs.LogisticRegressionCV().__sklearn_tags__()
        assert getattr(one, part) == getattr(other, part)
    waiting = dict.fromkeys(announced, "warn")  # what clones of theirs bring along
    assert_array_equal(LogisticRegressionCV(cv=FOLDS, Cs=3, **waiting).fit(X, LABELS[2]).scores_,
                       LogisticRegressionCV(cv=FOLDS, Cs=3).fit(X, LABELS[2]).scores_)


@functools.cache
def reference(classes: int, ratios: tuple[float, ...], scoring: Any, refit: bool, legacy: bool) -> Any:
    """Theirs; saga alone knows the L1 penalty, and never stops right where every coefficient is 0: no C is so small."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return theirs.LogisticRegressionCV(
            Cs=CS, l1_ratios=np.array(ratios), scoring=scoring, refit=refit, use_legacy_attributes=legacy, cv=FOLDS,
            solver="newton-cholesky" if ratios == (0.0,) else "saga", tol=1e-10, max_iter=20_000,
            random_state=0).fit(X, LABELS[classes], W)


@both
@pytest.mark.parametrize("ratios", RATIOS, ids=str)
@pytest.mark.parametrize(("scoring", "refit", "legacy"), [
    (None, True, False), (None, False, True), ("neg_log_loss", True, True), ("neg_log_loss", False, False)])
def test_agreement(classes: int, ratios: tuple[float, ...], scoring: Any, refit: bool, legacy: bool) -> None:
    b = reference(classes, ratios, scoring, refit, legacy)
    a = LogisticRegressionCV(Cs=CS, l1_ratios=ratios, scoring=scoring, refit=refit, use_legacy_attributes=legacy,
                             cv=FOLDS, **TIGHT).fit(X, LABELS[classes], W)
    known = {name for name in vars(b) if name.endswith("_")}
    assert {name for name in vars(a) if name.endswith("_")} == known
    for name in sorted(known - {"classes_"}):
        mine, its = getattr(a, name), getattr(b, name)
        assert isinstance(mine, type(its)), name
        if isinstance(its, dict):
            assert list(mine) == list(its)
            mine, its = np.array(list(mine.values())), np.array(list(its.values()))
        assert np.shape(mine) == np.shape(its), name
        if name != "n_iter_":
            assert_allclose(mine, its, atol=1e-6 if name == "scores_" else 2e-5, err_msg=name)
    assert_array_equal(a.classes_, b.classes_)
    assert a.score(X, LABELS[classes], sample_weight=W) == pytest.approx(
        b.score(X, LABELS[classes], sample_weight=W), abs=1e-6)


@both
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_every_solution_of_a_fold_is_certified(classes: int, ratio: float, fit_intercept: bool) -> None:
    y = LABELS[classes]
    model = LogisticRegressionCV(Cs=[1e-4, 0.3, 100.0], l1_ratios=(ratio,), cv=FOLDS,
                                 fit_intercept=fit_intercept).fit(X, y, W)
    assert model.coefs_paths_.shape == (3, 1, 3, 1 if classes == 2 else 3, 4 + fit_intercept)
    for (train, _), coefs in zip(FOLDS, model.coefs_paths_[:, 0], strict=True):
        for C, coef in zip(model.Cs_, coefs, strict=True):
            b, b0 = coef[:, :4], coef[:, 4] if fit_intercept else np.zeros(len(coef))
            proof = regfast.certify(X[train], y[train], b[0] if classes == 2 else b, b0[0] if classes == 2 else b0,
                                    alpha=1 / (C * W[train].sum()), l1_ratio=ratio, sample_weight=W[train],
                                    family="binomial" if classes == 2 else "multinomial", standardize=False,
                                    fit_intercept=fit_intercept)
            assert proof.gap <= 2e-10


@both
@pytest.mark.parametrize("class_weight", [None, "balanced", "dict"])
def test_folds_and_the_last_fit_are_plain_estimators(classes: int, class_weight: Any) -> None:
    y = LABELS[classes]
    if class_weight == "dict":
        class_weight = {label: k + 1.0 for k, label in enumerate(np.unique(y))}
    model = LogisticRegressionCV(Cs=CS, cv=FOLDS, class_weight=class_weight, tol=1e-12).fit(X, y, W)
    other = theirs.LogisticRegressionCV(Cs=CS, cv=FOLDS, class_weight=class_weight, solver="newton-cholesky", tol=1e-10,
                                        l1_ratios=(0.0,), scoring="neg_log_loss", use_legacy_attributes=False)
    assert_allclose(model.scores_, other.fit(X, y, W).scores_, atol=1e-7)
    last = LogisticRegression(C=model.C_, class_weight=class_weight, tol=1e-12).fit(X, y, W)
    assert_allclose(model.coef_, last.coef_, atol=1e-9)
    assert model.score(X, y) == pytest.approx(other.score(X, y), abs=1e-6)


@both
def test_weights_are_repeats_at_the_default_tolerance(classes: int) -> None:
    y, times, fold = LABELS[classes], np.random.default_rng(0).integers(0, 4, N), np.arange(N) % 3
    options: dict[str, Any] = {"Cs": CS, "l1_ratios": (0.0, 0.7), "class_weight": "balanced"}
    a = LogisticRegressionCV(cv=PredefinedSplit(fold), **options).fit(X, y, times.astype(float))
    b = LogisticRegressionCV(cv=PredefinedSplit(np.repeat(fold, times)), **options).fit(
        np.repeat(X, times, axis=0), np.repeat(y, times))
    assert_allclose(a.scores_, b.scores_, rtol=1e-6)
    assert a.C_ == b.C_
    assert_allclose(a.coef_, b.coef_, atol=1e-7)


def test_metadata_are_routed() -> None:
    y, groups = LABELS[3], np.arange(N) % 7
    folds = list(GroupKFold(3).split(X, y, groups))
    by_hand = LogisticRegressionCV(Cs=CS, cv=folds).fit(X, y, W)
    model = LogisticRegressionCV(Cs=CS, cv=GroupKFold(3))
    for wrong in (model.fit, model.score):
        with pytest.raises(ValueError, match=r"only supported if.*enable_metadata_routing=True"):
            wrong(X, y, groups=groups)
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(precision_score, average="macro", zero_division=0).set_score_request(sample_weight=True)
        asked = LogisticRegressionCV(Cs=CS, cv=GroupKFold(3), scoring=scorer).fit(X, y, W, groups=groups)
        same = theirs.LogisticRegressionCV(Cs=CS, cv=GroupKFold(3), scoring=scorer, l1_ratios=(0.0,), tol=1e-10,
                                           solver="newton-cholesky", use_legacy_attributes=False)
        same.fit(X, y, sample_weight=W, groups=groups)
        assert_allclose(asked.scores_, same.scores_, atol=1e-9)
        assert_allclose(asked.coefs_paths_, by_hand.coefs_paths_, atol=1e-12)
        assert asked.score(X, y, sample_weight=W) == pytest.approx(same.score(X, y, sample_weight=W))
        assert str(asked.get_metadata_routing()) == str(same.get_metadata_routing())


@both
def test_threads_and_storages_change_nothing(classes: int) -> None:
    y = LABELS[classes]
    first = LogisticRegressionCV(Cs=CS, cv=FOLDS, l1_ratios=(0.0, 1.0)).fit(X, y)
    assert_array_equal(clone(first).set_params(n_jobs=3).fit(X, y).coefs_paths_, first.coefs_paths_)
    frozen = np.asfortranarray(X)
    frozen.flags.writeable = False
    long = sp.csr_array(X)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    frame = pd.DataFrame(X, columns=list("abcd"))
    for A in (frozen, long, sp.csc_matrix(X), frame):
        again = clone(first).fit(A, y)
        assert_allclose(again.scores_, first.scores_, rtol=1e-7)
        assert_array_equal(again.predict(A), first.predict(X))
    assert list(again.feature_names_in_) == list("abcd")
    small = clone(first).fit(X.astype(np.float32), y)
    assert small.coef_.dtype == small.intercept_.dtype == small.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert_allclose(small.scores_, first.scores_, rtol=1e-4)
    averaged = clone(first).set_params(refit=False, l1_ratios=(1.0,)).fit(X.astype(np.float32), y)
    assert averaged.l1_ratio_ == 1  # (theirs says 0 whatever it was)
    assert averaged.coef_.dtype == averaged.intercept_.dtype == np.float32


def test_rows_held_out_that_lack_a_class() -> None:
    some = np.arange(0, N, 5)
    for classes, scoring in ((2, "neg_log_loss"), (3, "neg_log_loss"), (2, None), (2, "f1"), (3, "f1_macro")):
        y = LABELS[classes][some] if scoring != "f1" else (LABELS[classes][some] == "yes").astype(int)
        options: dict[str, Any] = {"Cs": [1.0, 0.1], "cv": LeaveOneOut(), "scoring": scoring}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an undefined F1 score is told by scikit-learn, once for each fold
            a = LogisticRegressionCV(tol=1e-14, max_iter=1000, **options).fit(X[some], y)
            b = theirs.LogisticRegressionCV(l1_ratios=(0.0,), use_legacy_attributes=False, tol=1e-10,
                                            solver="newton-cholesky", **options).fit(X[some], y)
        assert_allclose(a.scores_, b.scores_, atol=1e-6)
        assert a.C_ == b.C_
    rare = np.where(np.arange(N) == 5, "once", "often")
    with pytest.raises(ValueError, match="cv: in the training rows of fold 0"):
        LogisticRegressionCV(cv=PredefinedSplit(np.arange(N) % 2 * 0 + (np.arange(N) > 40))).fit(X, rare)


def test_scorers_of_the_user() -> None:
    y = LABELS[2]

    def confident(model: Any, A: Any, truth: Any) -> float:
        assert A.shape == (len(truth), 4)
        return float(np.abs(model.decision_function(A[:, :4])).mean())

    model = LogisticRegressionCV(Cs=CS, cv=FOLDS, scoring=confident).fit(X, y)
    assert model.C_ == 5.0
    assert_allclose(model.scores_[0, 0, 0], np.abs(X[FOLDS[0][1]] @ model.coefs_paths_[0, 0, 0, 0, :4]
                                                   + model.coefs_paths_[0, 0, 0, 0, 4]).mean())
    with pytest.raises(ValueError, match="not defined on the rows held out in fold 0: got NaN"):
        LogisticRegressionCV(Cs=CS, cv=FOLDS, scoring=lambda *_: np.nan).fit(X, y)
    with pytest.raises(ValueError, match="scoring"):
        LogisticRegressionCV(scoring="best").fit(X, y)


OLD: list[tuple[dict[str, Any], tuple[float, ...], str | None]] = [  # given, the values of l1_ratio, a further warning
    ({"l1_ratios": None}, (0.0,), None), ({"penalty": "l1"}, (1.0,), None), ({"penalty": "l2"}, (0.0,), None),
    ({"penalty": "l2", "l1_ratios": [0.5]}, (0.0,), "only used when penalty"),
    ({"penalty": "elasticnet", "l1_ratios": [0.5]}, (0.5,), None),
]  # fmt: skip


@pytest.mark.parametrize(("given", "today", "further"), OLD, ids=[str(case[0]) for case in OLD])
def test_deprecated_parameters(given: dict[str, Any], today: Any, further: str | None) -> None:
    options: dict[str, Any] = {"Cs": CS, "cv": FOLDS, "scoring": None, "use_legacy_attributes": True}
    with pytest.warns() as told:
        a = LogisticRegressionCV(**given, **options).fit(X, LABELS[3])
    assert FutureWarning in {w.category for w in told}
    assert (further is not None) == any(further in str(w.message) for w in told if further is not None)
    b = LogisticRegressionCV(l1_ratios=today, **options).fit(X, LABELS[3])
    assert_array_equal(a.coef_, b.coef_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = theirs.LogisticRegressionCV(solver="saga", tol=1e-2, **given, **options).fit(X, LABELS[3])
    if "l1_ratios" not in given or given["l1_ratios"] is None:
        for name in ("scores_", "coefs_paths_"):
            assert [x.shape for x in getattr(a, name).values()] == [x.shape for x in getattr(other, name).values()]
        assert a.n_iter_.shape == other.n_iter_.shape
        assert_array_equal(a.l1_ratios_, other.l1_ratios_)


def test_no_penalty() -> None:
    plain = LogisticRegression(C=np.inf, tol=1e-10).fit(X, LABELS[2])
    model = LogisticRegressionCV(Cs=(np.inf,), cv=FOLDS).fit(X, LABELS[2])
    assert_allclose(model.coef_, plain.coef_, atol=1e-7)
    both_ends = LogisticRegressionCV(Cs=(np.inf, 1e-3), cv=FOLDS).fit(X, LABELS[2])
    assert_allclose(both_ends.coefs_paths_[:, :, 0], model.coefs_paths_[:, :, 0], atol=1e-6)
    y = (X[:, 0] > 0).astype(int)
    with pytest.warns(ConvergenceWarning, match="separated"):
        LogisticRegressionCV(Cs=(np.inf,), cv=3).fit(X, y)


BAD: dict[str, Any] = {
    "Cs": 0, "refit": "no", "tol": -1e-3, "max_iter": -1, "n_jobs": 1.5, "solver": "descent", "penalty": "l0",
    "class_weight": "even", "dual": 3, "fit_intercept": "no", "intercept_scaling": 0, "use_legacy_attributes": "no",
    "scoring": 3,
}  # fmt: skip


@pytest.mark.parametrize("parameter", BAD)
def test_parameters_are_checked_in_scikit_learns_words(parameter: str) -> None:
    for estimator in (LogisticRegressionCV, theirs.LogisticRegressionCV):
        with pytest.raises(ValueError, match=f"The '{parameter}' parameter of LogisticRegressionCV must be"):
            estimator(**{parameter: BAD[parameter]}).fit(X, LABELS[2])


def test_what_is_refused() -> None:
    for arguments, message in (
        ({"Cs": [1.0, -1.0]}, "Cs"), ({"Cs": []}, "Cs"), ({"l1_ratios": (1.5,)}, "l1_ratios must be an array-like"),
        ({"l1_ratios": ()}, "l1_ratios"), ({"l1_ratios": 0.5}, "l1_ratios"), ({"cv": 1}, "1"),
        ({"class_weight": {"perhaps": 1}}, "class_weight"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            LogisticRegressionCV(**arguments).fit(X, LABELS[2])
    for y, w, message in (
        (np.ones(N), None, "got one class"), (X[:, 0], None, "Unknown label type"),
        (LABELS[2], -W, "sample_weight must not be negative"),
        (LABELS[2], np.where(LABELS[2] == "yes", W, 0), "got one class"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            LogisticRegressionCV().fit(X, y, w)


@pytest.mark.parametrize("classes", [2, 4])
def test_log_losses_are_those_of_the_scorer(classes: int) -> None:
    """Of many models at once, far beyond where a probability is told from 0 or 1."""
    rng = np.random.default_rng(3)
    eta = rng.standard_normal((30, 3, 5, 1 if classes == 2 else classes)) * np.array([1, 30, 2000])[:, None, None]
    of, w = rng.integers(classes, size=30), rng.random(30)
    found = log_losses(eta, of, w)
    for k in np.ndindex(3, 5):
        each = eta[(slice(None), *k)]
        p = np.hstack([expit(-each), expit(each)]) if classes == 2 else softmax(each, axis=1)
        assert found[k] == pytest.approx(log_loss(of, p, sample_weight=w, labels=np.arange(classes)), rel=1e-12)
