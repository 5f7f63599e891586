"""The rules that choose α against their formulas, brute-force leave-one-out, LARS and derivatives by differences."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from oracle import Array, check_path, make_data
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression, lars_path
from sklearn.model_selection import KFold, LeaveOneOut

import regfast
from regfast import fit_cv, fit_path

X, Y, W = make_data(n=60, p=12)
DIABETES = load_diabetes(scaled=False)
CANCER = load_breast_cancer()
# for tests whose grid is short or noise is all there is: the best α is then at an edge, and is told, rightly
quiet = pytest.mark.filterwarnings("ignore:the best alpha")


# ---- from the folds


@quiet
def test_within_so_many_percent() -> None:
    cv = fit_cv(X, Y, cv=5)
    best = cv.score_mean.min()
    for percent in (0, 1, 7.5, 40):
        near = cv.path.alphas[cv.score_mean <= best * (1 + percent / 100)]
        assert cv.alpha(("within", percent)) == cv.alpha(f"within {percent}%") == near.max()
        assert_array_equal(cv.predict(X, f"within {percent}%"), cv.path.predict(X, near.max()))
    assert cv.alpha("within 0%") == cv.alpha("min") == cv.alpha_min
    assert cv.alpha("1se") == cv.alpha_1se
    scored = fit_cv(X, Y, cv=5, scoring="neg_mean_absolute_error")
    top = scored.score_mean.max()
    assert scored.alpha("within 10%") == scored.path.alphas[scored.score_mean >= top - 0.1 * abs(top)].max()


@quiet
def test_what_is_no_rule() -> None:
    cv = fit_cv(X, Y, cv=5, n_alphas=10)
    wrong: list[Any] = ["best", "within", "within -1%", ("within", "two"), ("near", 2), None, True, 2.5]
    for rule in wrong:
        with pytest.raises(ValueError, match="rule must be one of 'min', '1se', 'within 2%'"):
            cv.alpha(rule)
    with pytest.raises(ValueError, match=r"'alo' leaves out rows of the data: give X and y"):
        cv.alpha("alo")
    with pytest.raises(ValueError, match=r"'refitted bic' refits the models to the data"):
        cv.alpha("refitted bic")
    with pytest.raises(ValueError, match=r"'bic' with l1_ratio < 1 needs the data"):
        fit_path(X, Y, l1_ratio=0.5, n_alphas=5).select("bic")
    with pytest.raises(ValueError, match="'aic' with bounds that may hold coefficients needs the data"):
        fit_path(X, Y, bounds=(-np.inf, 0.2), n_alphas=5).select("aic")
    with pytest.raises(ValueError, match="X, y and sample_weight must be those of the fit: got 30 observations"):
        cv.alpha("alo", X[:30], Y[:30])
    with pytest.raises(ValueError, match="of another spread"):
        cv.alpha(3, 2 * X, Y)
    with pytest.raises(ValueError, match="offset must be None"):
        cv.alpha(3, X, Y, offset=Y)


def test_at_most_k_features_is_a_knot_of_lars() -> None:
    A, y = DIABETES.data, DIABETES.target
    scaled = (A - A.mean(axis=0)) / A.std(axis=0)
    knots, order, _ = lars_path(scaled, y - y.mean(), method="lasso")
    assert len(order) == len(knots) - 1 or len(set(order)) == 10  # up to five features none leaves
    path = fit_path(A, y, n_alphas=20, tol=1e-12)
    for k in range(6):
        one = path.at_most(k, A, y)
        assert len(one) == 1
        assert one.n_nonzero[0] <= k
        assert one.alphas[0] == pytest.approx(knots[k], rel=2e-6)
        assert one.gaps[0] <= 1e-12
        assert path.select(k, A, y) == one.alphas[0]
    with pytest.raises(ValueError, match="no alpha of the path has at most 2 features"):
        fit_path(A, y, alphas=[0.01]).at_most(2, A, y)


@quiet
def test_at_most_k_features_of_a_cross_validation() -> None:
    cv = fit_cv(X, Y, cv=5, sample_weight=W)
    exact = cv.alpha(4, X, Y, sample_weight=W)
    assert exact <= cv.alpha(4) == cv.alpha("4")
    assert np.count_nonzero(cv.coef(4, X, Y, sample_weight=W)) <= 4 < np.count_nonzero(
        fit_path(X, Y, sample_weight=W, alphas=[exact * (1 - 1e-5)]).coefs.toarray())


# What cv.glmnet of R (glmnet 4.1.6; foldid, lambda, thresh=1e-14, fdev=0) says of five shuffled folds: mean deviance,
# its standard error, non-zeros, positions of lambda.min and lambda.1se. (It clips probabilities at 1e-5; none is near.)
GLMNET: dict[str, tuple[list[float], list[float], list[int], int, int]] = {
    "gaussian": ([5445.8872, 3837.7987, 3295.0804, 3114.1772, 3015.5451, 2980.7882, 2972.5941, 2974.3615],
        [338.13801, 145.67946, 82.381054, 80.920838, 107.2925, 119.94998, 126.6482, 129.17011],
        [2, 3, 4, 5, 7, 7, 8, 8], 6, 4),
    "binomial": ([1.0642038, 0.83425915, 0.67708806, 0.56377555, 0.47117021, 0.3960493, 0.33844515, 0.29243801],
        [0.01858103, 0.017231095, 0.01421791, 0.011914493, 0.011208995, 0.013538962, 0.016550074, 0.019760648],
        [2, 3, 2, 3, 4, 4, 5, 6], 7, 7),
    "poisson": ([36.178323, 25.824178, 22.276657, 21.09737, 20.422273, 20.292716, 20.252658, 19.966462],
        [2.15183, 0.80218383, 0.33781187, 0.44264573, 0.59773093, 0.68046479, 0.71553531, 0.69813916],
        [2, 3, 4, 5, 6, 7, 7, 8], 7, 4),
}


@quiet
@pytest.mark.parametrize("family", GLMNET)
def test_as_glmnet(family: str) -> None:
    mean, se, n_nonzero, least, sparse = GLMNET[family]
    A, y = (CANCER.data, CANCER.target) if family == "binomial" else (DIABETES.data, DIABETES.target)
    alphas = np.geomspace(0.3, 0.03, 8) if family == "binomial" else np.geomspace(40, 0.4, 8)
    cv = fit_cv(A, y, family=family, cv=KFold(5, shuffle=True, random_state=0), alphas=alphas, tol=1e-13)
    assert_allclose(cv.score_mean, mean, rtol=2e-6)
    assert_allclose(cv.score_se, se, rtol=2e-5)
    assert_array_equal(cv.path.n_nonzero, n_nonzero)
    assert (cv.alpha_min, cv.alpha_1se) == (cv.path.alphas[least], cv.path.alphas[sparse])


# ---- the grid


def low_noise() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((40, 60))
    return A, A[:, :3].sum(axis=1) + 0.01 * rng.standard_normal(40)


def test_an_automatic_grid_extends_itself_and_says_so_once() -> None:
    A, y = low_noise()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cv = fit_cv(A, y, cv=5, early_stop=False)
    (only,) = caught
    assert "was at the edge of the automatic grid, which was extended" in str(only.message)
    assert only.filename == __file__
    assert cv.alpha_min < 0.01 * cv.path.alphas[0] * (1 - 1e-9)
    assert_allclose(np.diff(np.log(cv.path.alphas)), np.log(1e-2) / 99, rtol=1e-9)
    check_path(cv.path, A, y)
    again = fit_cv(A, y, cv=5, alphas=cv.path.alphas)
    assert_allclose(cv.score_mean, again.score_mean, rtol=1e-4)
    assert cv.scores.shape == (5, len(cv.path)) == (5, len(cv.train_mean))
    assert (np.diff(cv.path.n_passes) >= 0).all()


def test_a_ridge_grid_extends_upwards() -> None:
    rng = np.random.default_rng(3)
    A, y = rng.standard_normal((50, 5)), rng.standard_normal(50)
    with pytest.warns(UserWarning, match="was at the edge of the automatic grid"):
        cv = fit_cv(A, y, cv=5, l1_ratio=0.0, n_alphas=20)
    assert cv.path.alphas[0] > 1.5 * regfast.alpha_max(A, y, l1_ratio=0.0)
    assert (np.diff(cv.path.alphas) < 0).all()
    check_path(cv.path, A, y, l1_ratio=0.0)


# ---- leave-one-out and degrees of freedom

RIDGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "origin": {"fit_intercept": False},
    "offset": {"offset": np.cos(np.arange(30.0))},
    "free": {"penalty_factors": np.where(np.arange(12) == 2, 0.0, 1.0 + np.arange(12))},
    "wide": {},
}


@quiet
@pytest.mark.parametrize("name", RIDGES)
def test_leaving_out_is_exact_for_ridge(name: str) -> None:
    options = RIDGES[name] | {"l1_ratio": 0.0, "standardize": False, "tol": 1e-15, "alphas": [3.0, 0.3, 0.02]}
    A = np.random.default_rng(1).standard_normal((30, 70)) * np.linspace(1, 3, 70) if name == "wide" else X[:30]
    path = fit_path(A, Y[:30], **options)
    found = path.criteria(A, Y[:30], offset=options.get("offset"))
    brute = fit_cv(A, Y[:30], cv=LeaveOneOut(), **options)
    assert_allclose(found.alo, brute.score_mean, rtol=1e-6)
    sparse = path.criteria(sp.csr_array(A), Y[:30], offset=options.get("offset"))
    assert_allclose(sparse.alo, found.alo, rtol=1e-9)


SETS: dict[str, tuple[Array, Array, dict[str, Any]]] = {
    "gaussian": (DIABETES.data[:160], DIABETES.target[:160], {}),
    "elastic net": (DIABETES.data[:160], DIABETES.target[:160], {"l1_ratio": 0.5}),
    "poisson": (DIABETES.data[:160], DIABETES.target[:160], {"family": "poisson"}),
    "gamma": (DIABETES.data[:160], DIABETES.target[:160], {"family": "gamma"}),
    "binomial": (CANCER.data[100:260, :10], CANCER.target[100:260], {"family": "binomial"}),
    "multinomial": (DIABETES.data[:90], np.digitize(DIABETES.target[:90], [90, 180]),
                    {"family": "multinomial", "l1_ratio": 0.0, "alphas": np.geomspace(1, 0.01, 5)}),
    "multigaussian": (DIABETES.data[:160, 2:], DIABETES.data[:160, :2],
                      {"family": "multigaussian", "alphas": np.geomspace(5, 0.1, 5)}),
}


@quiet
@pytest.mark.parametrize("name", SETS)
def test_approximate_leave_one_out_is_near_the_real_one(name: str) -> None:
    """The mean differs by at most 2 % of the standard deviation of the rows' losses, near the best α."""
    A, y, options = SETS[name]
    path = fit_path(A, y, **{"n_alphas": 8, "eps": 1e-2, "early_stop": False} | options)
    brute = fit_cv(A, y, cv=LeaveOneOut(), **options | {"alphas": path.alphas})
    found = path.criteria(A, y)
    near = brute.score_mean <= brute.score_mean.min() + brute.score_se[brute.score_mean.argmin()]
    off = np.abs(found.alo - brute.score_mean) / brute.scores.std(axis=0)
    assert (off[near] <= 0.02).all(), off
    assert brute.score_mean[found.alo.argmin()] <= brute.score_mean.min() + 0.02 * brute.scores.std(axis=0).max()


DF: dict[str, dict[str, Any]] = {
    "lasso": {}, "net": {"l1_ratio": 0.5}, "ridge": {"l1_ratio": 0.0}, "raw": {"l1_ratio": 0.3, "standardize": False},
    "weights": {"l1_ratio": 0.5, "sample_weight": W}, "groups": {"family": "multigaussian"},
    "grouped net": {"family": "multigaussian", "l1_ratio": 0.6}, "bounds": {"bounds": (-0.3, 0.5)}}


@pytest.mark.parametrize("name", DF)
def test_degrees_of_freedom_are_the_divergence(name: str) -> None:
    """df = Σ_i ∂ŷ_i/∂y_i (Stein), here by central differences."""
    several = "group" in name
    y = np.column_stack([Y, np.roll(Y, 7) + X[:, 1]]) if several else Y
    options = DF[name] | {"alphas": [0.4, 0.05], "tol": 1e-13}
    weights = {key: options[key] for key in ("sample_weight",) if key in options}
    found = fit_path(X, y, **options).criteria(X, y, **weights)
    total, h = np.zeros(2), 1e-4
    for at in np.ndindex(y.shape):
        unit = np.zeros_like(y)
        unit[at] = h
        above, below = (fit_path(X, y + sign * unit, **options).predict(X) for sign in (1, -1))
        total += (above - below)[(at[0], slice(None), *at[1:])] / (2 * h)
    assert_allclose(found.df, total, rtol=1e-4)


def test_criteria_with_a_trace() -> None:
    path = fit_path(X, Y, l1_ratio=0.4, n_alphas=30)
    known = path.criteria(X, Y)
    for name, cost in (("aic", 2.0), ("bic", np.log(60))):
        score = 60 * np.log(((Y[:, None] - path.predict(X)) ** 2).mean(axis=0)) + cost * known.df
        assert path.select(name, X, Y) == path.alphas[score.argmin()]
    weights = np.where(np.arange(60) < 20, 0.0, 1.0)
    part, rest = fit_path(X, Y, sample_weight=weights, alphas=[0.3, 0.1]), fit_path(X[20:], Y[20:], alphas=[0.3, 0.1])
    assert part.n_samples == 40
    for a, b in zip(part.criteria(X, Y, sample_weight=weights), rest.criteria(X[20:], Y[20:]), strict=True):
        assert_allclose(a, b, rtol=1e-6)


def test_refitted_models_are_those_of_scikit_learn() -> None:
    path = fit_path(X, Y, alphas=[0.5, 0.2, 0.05])
    label = (np.median(Y) < Y).astype(int)
    logit = fit_path(X, label, alphas=[0.2, 0.1], family="binomial")
    for k, deviance in enumerate(path.criteria(X, Y).refitted):
        S = np.flatnonzero(path.coefs[:, [k]].toarray())
        assert deviance == pytest.approx(np.mean((Y - LinearRegression().fit(X[:, S], Y).predict(X[:, S])) ** 2))
    for k, deviance in enumerate(logit.criteria(X, label).refitted):
        S = np.flatnonzero(logit.coefs[:, [k]].toarray())
        p = LogisticRegression(C=np.inf, tol=1e-10).fit(X[:, S], label).predict_proba(X[:, S])
        assert deviance == pytest.approx(-2 * np.mean(np.log(p[np.arange(60), label])), rel=1e-6)


def test_ebic_on_refitted_models_finds_the_support() -> None:
    """Three coefficients of 2 among 20 columns, σ = 1, in at least 95 % of 200 draws."""
    found = 0
    for seed in range(1000, 1200):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((500, 20))
        y = 2 * A[:, :3].sum(axis=1) + rng.standard_normal(500)
        path = fit_path(A, y, n_alphas=12, eps=0.01)
        support = np.flatnonzero(path.coef_at(path.select("refitted ebic", A, y)))
        found += support.tolist() == [0, 1, 2]
    assert found >= 190


def test_separated_and_saturated_refits_are_left_out() -> None:
    A = np.column_stack([np.linspace(-1, 1, 30), np.cos(np.arange(30))])
    path = fit_path(A, A[:, 0] > 0, family="binomial", n_alphas=10)
    found = path.criteria(A, A[:, 0] > 0)
    assert np.isfinite(found.refitted[0])
    assert np.isinf(found.refitted[-1])
    assert path.select("refitted bic", A, A[:, 0] > 0) == path.alphas[0]
    wide = fit_path(*low_noise(), n_alphas=30)
    assert np.isinf(wide.criteria(*low_noise()).refitted[wide.n_nonzero >= 39]).all()


def test_a_row_that_alone_determines_a_coefficient() -> None:
    A = np.column_stack([X[:, :2], np.eye(60)[:, 0] * 5])
    path = fit_path(A, Y + 10 * np.eye(60)[0], alphas=[0.5, 0.01])
    assert path.coefs.toarray()[2, 1] != 0
    found = path.criteria(A, Y + 10 * np.eye(60)[0])
    assert np.isinf(found.alo[path.coefs.toarray()[2] != 0]).all()
    assert np.isfinite(found.df).all()


def test_small_and_degenerate_data() -> None:
    nothing = fit_path(np.empty((20, 0)), Y[:20], alphas=[1.0]).criteria(np.empty((20, 0)), Y[:20])
    loo = np.mean(((Y[:20] - Y[:20].mean()) * 20 / 19) ** 2)
    assert_allclose([nothing.df[0], nothing.alo[0]], [1, loo])
    one = fit_path(X[:1], Y[:1], alphas=[1.0]).criteria(X[:1], Y[:1])
    assert np.isinf(one.alo[0])
    twice = np.column_stack([X[:, :3], X[:, :3], np.ones(60)])
    path = fit_path(twice, Y, alphas=[0.5, 0.1], l1_ratio=0.5)
    assert np.isfinite(path.criteria(twice, Y).alo).all()


# ---- kept with the result


@quiet
def test_criteria_and_folds_are_kept_and_saved(tmp_path: Path) -> None:
    cv = fit_cv(X, Y, cv=4, n_alphas=20, l1_ratio=0.5, criteria=True, keep_folds=True)
    given = cv.path.criteria(X, Y)
    for rule in ("aic", "bic", "ebic", "refitted bic", "alo"):
        assert cv.alpha(rule) == cv.path.select(rule, X, Y)
        assert_array_equal(cv.predict(X, rule), cv.path.predict(X, cv.alpha(rule)))
    cv.save(tmp_path / "m.json")
    again = regfast.load(tmp_path / "m.json")
    assert isinstance(again, regfast.CVPath)
    assert cv.criteria is not None
    assert again.criteria is not None
    assert cv.folds is not None
    assert again.folds is not None
    for a, b, c in zip(cv.criteria, again.criteria, given, strict=True):
        assert_array_equal(a, b)
        assert_array_equal(a, c)
    for (train, test, path), (train2, test2, path2) in zip(cv.folds, again.folds, strict=True):
        assert_array_equal(train, train2)
        assert_array_equal(test, test2)
        assert_array_equal(path.coefs.toarray(), path2.coefs.toarray())
        alone = fit_path(X[train], Y[train], alphas=cv.path.alphas, l1_ratio=0.5, tol=1e-12)
        assert_allclose(path.coefs.toarray(), alone.coefs.toarray(), atol=1e-3)
