"""fit_cv against a loop over folds written out by hand."""

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from oracle import Array, check_path, make_data
from sklearn.linear_model import LassoCV
from sklearn.metrics import get_scorer, make_scorer, mean_absolute_error, r2_score
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit, TimeSeriesSplit

import regfast
from regfast import fit_cv, fit_path

X, Y, W = make_data(n=80, p=15)
OFFSET = 2 * np.cos(np.arange(80.0))
GROUPS = np.random.default_rng(0).integers(0, 9, 80)
# grids here are short, and the best α is often their last: told, rightly, and tested where it is the question
pytestmark = pytest.mark.filterwarnings("ignore:the best alpha")


def folds_of(k: int = 5, seed: int = 0) -> list[tuple[Array, Array]]:
    return list(KFold(k, shuffle=True, random_state=seed).split(X))


def by_hand(A: Any, folds: Any, alphas: Array, weights: Any = None, **options: Any) -> tuple[Array, Array]:
    """Mean squared errors (folds, alphas) and predictions (n, alphas): each fold fitted to its own slice of rows."""
    w = np.ones(80) if weights is None else weights
    offset = options.pop("offset", None)
    scores, predictions = [], np.full((80, len(alphas)), np.nan)
    for train, test in folds:
        part = {} if offset is None else {"offset": offset[train]}
        path = fit_path(A[train], Y[train], alphas=alphas, sample_weight=w[train], **part, **options)
        predictions[test] = path.predict(A[test], **({} if offset is None else {"offset": offset[test]}))
        losses = (Y[test][:, None] - predictions[test]) ** 2
        scores.append(w[test] @ losses / w[test].sum())
    return np.array(scores), predictions


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"standardize": False},
    "origin": {"fit_intercept": False},
    "elastic": {"l1_ratio": 0.5},
    "offset": {"offset": OFFSET},
    "free": {"penalty_factors": np.where(np.arange(15) % 6 == 1, 0.0, 1.0)},
    "bounds": {"bounds": (-0.5, np.inf)},
    "ridge": {"l1_ratio": 0.0},
}


@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array], ids=["C", "F", "CSR"])
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_fold_is_a_slice_of_rows(name: str, weights: Any, storage: Any) -> None:
    A, options = storage(X), OPTIONS[name] | {"tol": 1e-14 if OPTIONS[name].get("l1_ratio", 1.0) == 1 else 1e-16}
    asked = 1e3 * np.geomspace(1, 1e-3, 10) if name == "ridge" else np.geomspace(3, 0.01, 12)
    cv = fit_cv(A, Y, cv=5, alphas=asked, sample_weight=weights, **options)
    scores, predictions = by_hand(A, folds_of(), cv.path.alphas, weights, **options)
    close = 1e-10 if OPTIONS[name].get("l1_ratio", 1.0) == 1 else 1e-7
    assert_allclose(cv.scores, scores, rtol=close)
    best = int(np.flatnonzero(cv.path.alphas == cv.alpha_min)[0])
    assert_allclose(cv.oof_predictions, predictions[:, best], rtol=close)
    check_path(cv.path, X, Y, sample_weight=weights, **options)
    alone = fit_path(A, Y, alphas=asked, sample_weight=weights, **options)
    assert_array_equal(cv.path.coefs.toarray(), alone.coefs.toarray())


@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
def test_means_errors_and_rules_by_their_formulas(weights: Any) -> None:
    cv = fit_cv(X, Y, cv=7, sample_weight=weights)
    w = np.ones(80) if weights is None else weights
    weight = np.array([w[test].sum() for _, test in folds_of(7)])
    weight = weight / weight.sum()
    mean = weight @ cv.scores
    se = np.sqrt(weight @ (cv.scores - mean) ** 2 / 6)
    assert_allclose(cv.score_mean, mean, rtol=1e-12)
    assert_allclose(cv.score_se, se, rtol=1e-12)
    best = int(mean.argmin())
    assert cv.alpha_min == cv.path.alphas[best]
    assert cv.alpha_1se == max(a for a, m in zip(cv.path.alphas, mean, strict=True) if m <= mean[best] + se[best])
    assert cv.alpha_1se >= cv.alpha_min
    assert (cv.n_folds, cv.l1_ratio_best, cv.scoring) == (7, 1.0, "deviance")
    assert_array_equal(cv.coef("min"), cv.path.coef_at(cv.alpha_min))
    assert_array_equal(cv.coef("1se"), cv.path.coef_at(cv.alpha_1se))
    assert cv.intercept("1se") == cv.path.intercept_at(cv.alpha_1se)
    assert_array_equal(cv.predict(X, "1se"), cv.path.predict(X, cv.alpha_1se))
    residual = w @ (Y - cv.oof_predictions) ** 2 / w.sum()
    assert residual == pytest.approx(cv.score_mean.min(), rel=1e-12)  # weighted folds: the mean over all rows
    unknown: Any = "best"
    with pytest.raises(ValueError, match=r"rule must be one of 'min', '1se', 'within 2%'.*; got 'best'"):
        cv.coef(unknown)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "CSR"])
def test_the_number_of_jobs_changes_no_bit(storage: Any) -> None:
    alone = fit_cv(storage(X), Y, cv=6, l1_ratio=[1.0, 0.5], sample_weight=W)
    for n_jobs in (2, 3, -1, None):
        other = fit_cv(storage(X), Y, cv=6, l1_ratio=[1.0, 0.5], sample_weight=W, n_jobs=n_jobs)
        for name in ("scores", "score_mean", "score_se", "oof_predictions", "l1_scores"):
            assert getattr(alone, name).tobytes() == getattr(other, name).tobytes()
        assert alone.path.coefs.toarray().tobytes() == other.path.coefs.toarray().tobytes()
        assert (alone.alpha_min, alone.alpha_1se) == (other.alpha_min, other.alpha_1se)


def test_the_seed_shuffles_and_nothing_else_does() -> None:
    a, b, c = (fit_cv(X, Y, cv=5, random_state=seed, n_alphas=20) for seed in (1, 1, 2))
    assert_array_equal(a.scores, b.scores)
    assert (a.scores != c.scores).any()
    assert_array_equal(a.path.coefs.toarray(), c.path.coefs.toarray())
    named = fit_cv(X, Y, cv=folds_of(5, 1), n_alphas=20)
    assert_array_equal(a.scores, named.scores)


@pytest.mark.parametrize("cv", [
    KFold(4), KFold(4, shuffle=True, random_state=3), LeaveOneOut(), ShuffleSplit(3, random_state=0),
    TimeSeriesSplit(4), folds_of(3), iter(folds_of(3)), [(a.tolist(), b.tolist()) for a, b in folds_of(3)],
], ids=lambda cv: type(cv).__name__)  # fmt: skip
def test_splitters(cv: Any) -> None:
    folds = list(cv) if not hasattr(cv, "split") else list(cv.split(X))
    alphas = [1.0, 0.3, 0.1]
    fitted = fit_cv(X, Y, cv=cv if hasattr(cv, "split") else iter(folds), alphas=alphas, tol=1e-14)
    scores, _ = by_hand(X, [(np.asarray(a), np.asarray(b)) for a, b in folds], np.array(alphas), tol=1e-14)
    assert_allclose(fitted.scores, scores, rtol=1e-9, atol=1e-12)
    tested = np.zeros(80, dtype=bool)
    for _, test in folds:
        tested[np.asarray(test)] = True
    assert_array_equal(np.isnan(fitted.oof_predictions), ~tested)


def test_masks_and_negative_rows() -> None:
    folds = folds_of(3)
    masks = [(np.isin(np.arange(80), train), np.isin(np.arange(80), test)) for train, test in folds]
    below = [(train - 80, test - 80) for train, test in folds]
    a, b, c = (fit_cv(X, Y, cv=cv, alphas=[0.5, 0.1]) for cv in (folds, masks, below))
    assert_array_equal(a.scores, b.scores)
    assert_array_equal(a.scores, c.scores)


def test_groups_stay_together() -> None:
    named = fit_cv(X, Y, cv=GroupKFold(4), groups=GROUPS, alphas=[0.5, 0.1], tol=1e-14)
    scores, _ = by_hand(X, GroupKFold(4).split(X, Y, GROUPS), np.array([0.5, 0.1]), tol=1e-14)
    assert_allclose(named.scores, scores, rtol=1e-9)
    by_number = fit_cv(X, Y, cv=4, groups=GROUPS, alphas=[0.5, 0.1], tol=1e-14)
    folds = GroupKFold(4, shuffle=True, random_state=0).split(X, Y, GROUPS)
    assert_allclose(by_number.scores, by_hand(X, folds, np.array([0.5, 0.1]), tol=1e-14)[0], rtol=1e-9)


@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("scoring", [
    "r2", "neg_mean_absolute_error", "neg_root_mean_squared_error", get_scorer("r2"),
    make_scorer(mean_absolute_error, greater_is_better=False),
], ids=str)  # fmt: skip
def test_scoring_by_name_or_scorer(scoring: Any, weights: Any) -> None:
    cv = fit_cv(X, Y, cv=5, scoring=scoring, sample_weight=weights, n_alphas=15, tol=1e-12, early_stop=False)
    w = np.ones(80) if weights is None else weights
    _, predictions = by_hand(X, folds_of(), cv.path.alphas, weights, tol=1e-12)
    name = scoring if isinstance(scoring, str) else ""
    for k, (_, test) in enumerate(folds_of()):
        for a in range(15):
            if name == "r2" or "r2" in str(scoring):
                want = r2_score(Y[test], predictions[test, a], sample_weight=w[test])
            else:
                want = -mean_absolute_error(Y[test], predictions[test, a], sample_weight=w[test])
                if "root" in name:
                    want = -np.sqrt(w[test] @ (Y[test] - predictions[test, a]) ** 2 / w[test].sum())
            assert cv.scores[k, a] == pytest.approx(want, rel=1e-6)
    best = int(cv.score_mean.argmax())  # greater is better
    assert cv.alpha_min == cv.path.alphas[best]
    near = cv.score_mean >= cv.score_mean[best] - cv.score_se[best]
    assert cv.alpha_1se == cv.path.alphas[np.flatnonzero(near)[0]]


def test_several_l1_ratios_are_compared_on_the_same_folds() -> None:
    ratios = [0.2, 1.0, 0.7]
    cv = fit_cv(X, Y, cv=5, l1_ratio=ratios, n_alphas=20)
    single = [fit_cv(X, Y, cv=5, l1_ratio=r, n_alphas=20) for r in ratios]
    assert_array_equal(cv.l1_ratios, ratios)
    assert_array_equal(cv.l1_scores, [s.score_mean.min() for s in single])
    best = single[int(np.argmin(cv.l1_scores))]
    assert cv.l1_ratio_best == best.l1_ratio_best == cv.path.l1_ratio
    assert_array_equal(cv.scores, best.scores)
    assert_array_equal(cv.path.coefs.toarray(), best.path.coefs.toarray())
    assert cv.alpha_min == best.alpha_min
    assert_array_equal(cv.oof_predictions, best.oof_predictions)


def test_agrees_with_scikit_learn() -> None:
    alphas = np.geomspace(1, 0.01, 15)
    theirs = LassoCV(alphas=alphas, cv=folds_of(), tol=1e-12, max_iter=100_000).fit(X, Y)
    ours = fit_cv(X, Y, alphas=alphas, cv=folds_of(), standardize=False, tol=1e-12)
    assert_allclose(ours.scores.T, theirs.mse_path_, rtol=1e-6)
    assert ours.alpha_min == theirs.alpha_
    assert_allclose(ours.coef(), theirs.coef_, atol=1e-6)


def test_each_fold_standardises_on_its_own_rows() -> None:
    """A value that only one test fold holds must not reach the fit that predicts it."""
    train, test = folds_of(4)[0]
    changed = X.copy()
    changed[test] *= 1000
    folds = [(train, test), (test, train)]
    a, b = (fit_cv(A, Y, cv=folds, alphas=[0.5, 0.1], tol=1e-14) for A in (X, changed))
    inner = fit_path(X[train], Y[train], alphas=[0.5, 0.1], tol=1e-14)
    for A, cv in ((X, a), (changed, b)):
        at = [0.5, 0.1].index(cv.alpha_min)
        assert_allclose(cv.oof_predictions[test], inner.predict(A[test])[:, at], rtol=1e-9)


def test_columns_that_only_one_fold_holds() -> None:
    A = np.column_stack([X[:, :3], np.eye(80)[:, :6], np.zeros(80), np.ones(80)])
    for storage in (np.asarray, sp.csr_array, sp.csc_array):
        cv = fit_cv(storage(A), Y, cv=10, alphas=[0.5, 0.05, 0.01])
        assert np.isfinite(cv.scores).all()
        assert_allclose(cv.scores, by_hand(A, folds_of(10), cv.path.alphas)[0], rtol=1e-5)


def test_the_edge_of_the_grid_is_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"the best alpha, 1, is the smallest of the grid.*name smaller alphas"):
            fit_cv(X, Y, cv=5, alphas=[3.0, 1.0])
        with pytest.raises(UserWarning, match=r"smallest of the grid.*lower eps"):
            fit_cv(X, Y, cv=5, eps=0.5, early_stop=False)
        inside = fit_cv(X, Y, cv=5)
    assert inside.path.alphas[-1] < inside.alpha_min < inside.path.alphas[0]


def test_progress_counts_folds() -> None:
    seen: list[tuple[int, int]] = []
    fit_cv(X, Y, cv=3, l1_ratio=[1.0, 0.5], alphas=[0.5, 0.1], progress=lambda *told: seen.append(told))
    assert seen == [(k + 1, 6) for k in range(6)]
    seen.clear()
    fit_cv(X, Y, cv=3, alphas=[0.5, 0.1], n_jobs=2, progress=lambda *told: seen.append(told))
    assert seen == [(k + 1, 3) for k in range(3)]


def test_constant_y_and_no_columns() -> None:
    flat = fit_cv(X, np.full(80, 2.5), cv=4)
    assert not flat.coef().any()
    assert flat.intercept() == 2.5
    assert_array_equal(flat.score_mean, 0)
    nothing = fit_cv(np.empty((80, 0)), Y, cv=4)
    assert nothing.coef().shape == (0,)
    scores = [np.mean((Y[test] - Y[train].mean()) ** 2) for train, test in folds_of(4)]
    assert_allclose(nothing.scores[:, 0], scores, rtol=1e-12)


def test_least_squares_among_the_alphas() -> None:
    cv = fit_cv(X, Y, cv=5, alphas=[1.0, 0.1, 0.0], tol=1e-12)
    for k, (train, test) in enumerate(folds_of()):
        A = np.column_stack([X[train], np.ones(len(train))])
        b = np.linalg.lstsq(A, Y[train], rcond=None)[0]
        assert cv.scores[k, 2] == pytest.approx(np.mean((Y[test] - X[test] @ b[:-1] - b[-1]) ** 2), rel=1e-9)
    assert isinstance(cv, regfast.CVPath)
