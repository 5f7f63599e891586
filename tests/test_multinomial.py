"""Several classes: certificates of our own, scikit-learn's solutions, identities between equal problems."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression as Theirs

import regfast

Array = NDArray[Any]
STORAGES: dict[str, Any] = {"C": np.ascontiguousarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_array}
X, LABELS = load_wine(return_X_y=True)
X = ((X - X.mean(0)) / X.std(0))[::2]
LABELS = LABELS[::2]
NAMES = np.array(["red", "green", "blue"])[LABELS]
W = np.random.default_rng(0).integers(0, 4, len(LABELS)).astype(float)


def gap_of(path: regfast.Path, k: int, X: Array, Y: Array, *, l1_ratio: float, w: Array, offset: Any = None,
           standardize: bool = False) -> float:
    """(primal − dual) / P_null at the k-th α, from X, y (n, C) and the path's numbers alone, the dual point our own."""
    w = w / w.sum()
    shift = np.zeros_like(Y) if offset is None else offset
    B = np.array([part.toarray()[:, k] for part in path.coefs])
    scale = np.sqrt(w @ (X - w @ X) ** 2) if standardize else np.ones(X.shape[1])
    l1, l2 = path.alphas[k] * l1_ratio * scale, path.alphas[k] * (1 - l1_ratio) * scale**2
    eta = X @ B.T + path.intercepts[:, k] + shift
    P = np.exp(eta - logsumexp(eta, axis=1)[:, None])
    saturated = w @ xlogy(Y, Y).sum(1)
    primal = w @ (logsumexp(eta, axis=1) - (Y * eta).sum(1)) + saturated + (l1 * abs(B) + l2 / 2 * B**2).sum()
    R = w[:, None] * (Y - P)
    R -= w[:, None] * R.sum(0) * path.fit_intercept  # whatever the intercept has left
    best = -np.inf
    for joined in (False, True):  # without an L2 part both are the same point
        c = R.T @ X - (l2 * B if joined else 0)
        s = min(1.0, float((l1 / np.maximum(abs(c), 1e-300)).min())) if joined or l1_ratio == 1 else 1.0
        m = Y - s * R / np.where(w > 0, w, 1)[:, None]
        dual = saturated - w @ xlogy(m, m).sum(1) - (s * R * shift).sum()
        if joined:
            dual -= s**2 * (l2 * B**2).sum() / 2
        elif l1_ratio < 1:
            dual -= (np.maximum(abs(R.T @ X) - l1, 0) ** 2 / (2 * l2)).sum()
        best = max(best, dual)
    return float((primal - best) / (path.null_deviance / 2 if offset is None else 1.0))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_every_alpha_is_proved(l1_ratio: float, storage: str) -> None:
    Y = (LABELS[:, None] == np.arange(3)).astype(float)
    for weighted, intercept, standardize, dtype in itertools.product((False, True), (True, False), (False, True),
                                                                     ("f8", "f4")):
        x = X.astype(dtype)
        path = regfast.fit_path(STORAGES[storage](x), NAMES, family="multinomial", l1_ratio=l1_ratio, n_alphas=6,
                                eps=1e-2, sample_weight=W if weighted else None, fit_intercept=intercept,
                                standardize=standardize, early_stop=False)
        assert (path.status == "converged").all()
        w = W if weighted else np.ones(len(W))
        Z = Y[:, np.argsort(["red", "green", "blue"])]
        for k in range(len(path)):
            true = gap_of(path, k, x.astype(float), Z, l1_ratio=l1_ratio, w=w, standardize=standardize)
            assert true <= 1.01e-7
            assert true <= path.gaps[k] + 1e-12  # what is reported is a bound


@pytest.mark.parametrize("weights", [None, W], ids=["equal", "weighted"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_scikit_learn_agrees(l1_ratio: float, weights: Any) -> None:
    total = len(LABELS) if weights is None else weights.sum()
    solver = "saga" if l1_ratio else "newton-cg"
    for alpha in (0.1, 0.02):
        ours = regfast.fit_path(X, LABELS, family="multinomial", l1_ratio=l1_ratio, alphas=[alpha], tol=1e-12,
                                sample_weight=weights, standardize=False)
        theirs = Theirs(C=1 / (alpha * total), l1_ratio=l1_ratio, solver=solver, tol=1e-10, max_iter=100_000)
        theirs.fit(X, LABELS, weights)
        assert_allclose(ours.coef_at(alpha), theirs.coef_, atol=2e-6)
        estimator = regfast.LogisticRegression(C=1 / (alpha * total), l1_ratio=l1_ratio).fit(X, LABELS, weights)
        assert_allclose(estimator.coef_, theirs.coef_, atol=2e-6)
        assert_allclose(estimator.predict_proba(X), theirs.predict_proba(X), atol=2e-6)
        assert_allclose(estimator.decision_function(X) - theirs.decision_function(X), 0, atol=1e-5)
        assert_array_equal(estimator.predict(X), theirs.predict(X))


def test_two_classes_are_a_binomial_fit_with_twice_the_penalty() -> None:
    """With b_2 = −b_1, which an L2 penalty makes so, α/2 (‖b_1‖² + ‖b_2‖²) = α/4 ‖b_1 − b_2‖²."""
    y = LABELS > 0
    two = regfast.fit_path(X, y, family="multinomial", l1_ratio=0, alphas=[0.1], tol=1e-13, standardize=False)
    one = regfast.fit_path(X, y, family="binomial", l1_ratio=0, alphas=[0.05], tol=1e-13, standardize=False)
    b = two.coef_at(0.1)
    assert_allclose(b[0], -b[1], atol=1e-6)
    assert_allclose(b[1] - b[0], one.coef_at(0.05), atol=1e-5)
    assert_allclose(two.predict(X, 0.1)[:, 1], one.predict(X, 0.05), atol=1e-6)


def test_weights_are_repeats_and_counts_are_rows() -> None:
    many = np.repeat(np.arange(len(W)), W.astype(int))
    options: dict[str, Any] = {"family": "multinomial", "alphas": [0.05], "tol": 1e-12, "standardize": False}
    weighted = regfast.fit_path(X, LABELS, sample_weight=W, **options)
    repeated = regfast.fit_path(X[many], LABELS[many], **options)
    assert_allclose(weighted.coef_at(0.05), repeated.coef_at(0.05), atol=1e-7)
    counts = W[:, None] * (LABELS[:, None] == np.arange(3))
    assert_allclose(regfast.fit_path(X, counts, **options).coef_at(0.05), repeated.coef_at(0.05), atol=1e-7)


def test_offset_moves_what_it_is_added_to() -> None:
    rng = np.random.default_rng(1)
    known = rng.standard_normal((3, X.shape[1]))
    offset = X @ known.T * 0.1
    Y = (LABELS[:, None] == np.arange(3)).astype(float)
    path = regfast.fit_path(X, LABELS, family="multinomial", offset=offset, standardize=False, n_alphas=5, eps=0.05,
                            early_stop=False)
    for k in range(len(path)):
        assert gap_of(path, k, X, Y, l1_ratio=1.0, w=np.ones(len(Y)), offset=offset) <= 1e-7 * path.null_deviance
    alpha = float(path.alphas[-1])
    eta = path.predict(X, alpha, offset=offset, kind="link")
    assert_allclose(eta, X @ path.coef_at(alpha).T + path.intercept_at(alpha) + offset, atol=1e-12)
    with pytest.raises(ValueError, match="predict needs offset"):
        path.predict(X, alpha)


def test_the_result_and_its_file(tmp_path: Any) -> None:
    path = regfast.fit_path(X, NAMES, family="multinomial", n_alphas=12)
    alpha = float(path.alphas[6])
    proba = path.predict(X, alpha)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert_array_equal(path.predict(X, alpha, kind="class"), path.classes_[proba.argmax(axis=1)])
    assert_allclose(path.predict(X)[:, 6], proba, atol=1e-12)
    assert_allclose(path.intercepts.mean(axis=0), 0, atol=1e-12)
    used = np.any([part.toarray() != 0 for part in path.coefs], axis=0).sum(axis=0)
    assert_array_equal(path.n_nonzero, used)
    assert path.select(3) == path.alphas[used <= 3][-1]
    assert len(path.to_frame()) == 3 * len(path)
    assert_array_equal(path.of("red").coef_at(alpha), path.coef_at(alpha)[2])
    path.save(tmp_path / "m.json")
    again = regfast.load(tmp_path / "m.json")
    assert_array_equal(again.predict(X), path.predict(X))
    assert again.classes_.tolist() == ["blue", "green", "red"]


def test_unpenalised_and_separated() -> None:
    x, y = load_iris(return_X_y=True)
    x, y = x[:, :2], np.where(np.arange(150) % 7 == 0, 2 - y, y)  # some labels wrong: nothing separates them
    path = regfast.fit_path(x, y, family="multinomial", alphas=[0.1, 0.0])
    theirs = Theirs(C=np.inf, tol=1e-12, solver="newton-cg", max_iter=10_000).fit(x, y)
    assert path.status.tolist() == ["converged"] * 2
    assert_allclose(path.predict(x, 0.0), theirs.predict_proba(x), atol=1e-5)
    assert regfast.fit_path(X, LABELS, family="multinomial", alphas=[1e-3]).status[0] == "converged"
    everything = regfast.fit_path(X, NAMES, family="multinomial", n_alphas=3)
    assert everything.alphas[0] == pytest.approx(regfast.alpha_max(X, NAMES, family="multinomial"))
    assert everything.n_nonzero[0] == 0


@pytest.mark.parametrize("v", [0.0, 0.5])
def test_free_columns_are_fitted_as_exactly_as_others(v: float) -> None:
    """No dual point is feasible then; v = ½ is what the same path is without them."""
    factors = np.where(np.arange(X.shape[1]) < 3, v, 1.0)
    wrong = np.where(np.arange(len(X)) % 5 == 0, (LABELS + 1) % 3, LABELS)  # nothing separates these
    path = regfast.fit_path(X, wrong, family="multinomial", n_alphas=8, eps=0.01, penalty_factors=factors, tol=1e-9)
    assert path.gap_kind == ("duality gap" if v else "kkt residual")
    assert (path.status == "converged").all()
    for alpha in path.alphas:
        proof = regfast.certify(X, wrong, path.coef_at(alpha), path.intercept_at(alpha), alpha=alpha,
                                family="multinomial", penalty_factors=factors)
        assert proof.kkt <= (1e-4 if v else 1.01e-9)  # a gap of 1e-9 bounds its square
        assert proof.gap <= 1.01e-9


@pytest.mark.parametrize("family", ["binomial", "multinomial"])
def test_a_stretch_that_bounds_hold_flat_is_not_the_end(family: str) -> None:
    """The first column stands at its bound from soon after α_max on, long before the second one enters."""
    y = np.arange(90) % (2 if family == "binomial" else 3)
    x = np.column_stack([y == 0, 0.003 * ((y == 1) + np.random.default_rng(0).random(90))]).astype(float)
    path = regfast.fit_path(x, y, family=family, bounds=(-0.05, 0.05), standardize=False)
    assert path.path_status == "complete"
    assert path.n_nonzero[10] == path.n_nonzero[20] == 1
    assert path.deviance_ratio[10] == pytest.approx(path.deviance_ratio[20], rel=1e-12)
    assert path.n_nonzero[-1] == 2


def test_what_is_refused() -> None:
    for y, message in ((np.zeros(len(X)), "at least two classes"), (LABELS[:-1], "y must"),
                       (np.where(np.arange(len(X)) == 3, np.nan, LABELS), "NaN")):
        with pytest.raises(ValueError, match=message):
            regfast.fit_path(X, y, family="multinomial")
    text = NAMES.astype(object)
    for value, error, message in ((None, ValueError, "y contains NaN, first at position 3: a label is missing"),
                                  (7, TypeError, "labels of one type.*mixture of number and str")):
        with pytest.raises(error, match=message):
            regfast.fit_path(X, np.where(np.arange(len(X)) == 3, value, text), family="multinomial")
    with pytest.raises(ValueError, match="y is a masked array with 2 masked entries"):
        regfast.fit_path(X, np.ma.array(NAMES, mask=np.arange(len(X)) < 2), family="multinomial")
    with pytest.raises(ValueError, match="at least two classes; got one: 'a'"):
        regfast.fit_path(X, ["a"] * len(X), family="multinomial")
    with pytest.raises(ValueError, match="offset must be"):
        regfast.fit_path(X, LABELS, family="multinomial", offset=np.zeros(len(X)))
    with pytest.raises(ValueError, match="class 0 has none"):
        regfast.fit_path(X, LABELS, family="multinomial", sample_weight=(LABELS > 0).astype(float))


def test_newtons_step_from_where_no_median_is_zero() -> None:
    """Far down at once: class after class leaves features with coefficients whose median over the classes is not 0."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((90, 4)) * [1, 2, 0.5, 1] + [0, 1, -1, 0.5]
    y = np.argmax(np.column_stack([x[:, 0], x[:, 1], 2 * x[:, 2] + 2]) + rng.gumbel(size=(90, 3)), axis=1)
    path = regfast.fit_path(x, y, family="multinomial", alphas=[1 / 450], standardize=False, tol=1e-10)
    assert path.status.tolist() == ["converged"]
    assert regfast.certify(x, y, path.coef_at(1 / 450), path.intercept_at(1 / 450), alpha=1 / 450, standardize=False,
                           family="multinomial").gap <= 1e-10
