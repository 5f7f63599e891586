"""certify: proof for anybody's coefficients, held against tight solutions and the NumPy objective."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from oracle import EPS, Array, make_data, objective
from sklearn.linear_model import ElasticNet

from regfast import certify, fit_path

X, Y, W = make_data(p=30)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"standardize": False},
    "origin": {"fit_intercept": False},
    "weights": {"sample_weight": W},
    "offset": {"offset": np.sin(np.arange(60.0))},
    "factors": {"penalty_factors": np.linspace(0.5, 2, 30)},
    "free": {"penalty_factors": np.where(np.arange(30) % 9 == 3, 0.0, 1.0)},
    "excluded": {"penalty_factors": np.where(np.arange(30) % 5 == 1, np.inf, 1.0)},
    "bounds": {"bounds": (-0.3, 0.4)},
    "positive": {"bounds": (0, np.inf)},
}
every_option = pytest.mark.parametrize("options", list(OPTIONS.values()), ids=list(OPTIONS))
every_ratio = pytest.mark.parametrize("l1_ratio", [1.0, 0.9, 0.3, 0.0])


def solution(alpha: float, tol: float = 1e-13, **options: Any) -> tuple[Array, float]:
    path = fit_path(X, Y, alphas=[alpha], tol=tol, **options)
    return path.coefs.toarray()[:, 0], float(path.intercepts[0])


# ---- the gap


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array])
@every_ratio
@every_option
def test_gap_is_that_of_the_path(options: dict[str, Any], l1_ratio: float, storage: Any) -> None:
    path = fit_path(storage(X), Y, n_alphas=6, eps=1e-2, tol=1e-3, l1_ratio=l1_ratio, early_stop=False, **options)
    for k, alpha in enumerate(path.alphas):
        b, b0 = path.coefs.toarray()[:, k], path.intercepts[k]
        proof = certify(storage(X), Y, b, b0, alpha=alpha, l1_ratio=l1_ratio, **options)
        problem = objective(X, Y, alpha=alpha, l1_ratio=l1_ratio, **options)
        assert proof.kind == path.gap_kind == "duality gap"
        assert proof.gap == pytest.approx(path.gaps[k], rel=1e-8, abs=1e-14)
        assert proof.primal == pytest.approx(float(problem.primal(b, b0)), rel=1e-12)
        assert proof.gap == pytest.approx((proof.primal - proof.dual) / problem.null, rel=1e-6, abs=1e-13)
        assert proof.kkt == pytest.approx(problem.kkt(b), rel=1e-6, abs=1e-13)


@settings(max_examples=120)
@given(st.sampled_from(sorted(OPTIONS)), st.sampled_from([1.0, 0.9, 0.3, 0.0]), st.sampled_from([1.0, 0.2, 0.02]),
       st.floats(-8, 1), st.integers(0, 2**31))  # fmt: skip
def test_no_perturbation_escapes(option: str, l1_ratio: float, alpha: float, size: float, seed: int) -> None:
    """The certified gap of any point is at least what the point loses to a (nearly) perfect solution."""
    options, rng = OPTIONS[option], np.random.default_rng(seed)
    best, b0 = solution(alpha, l1_ratio=l1_ratio, **options)
    problem = objective(X, Y, alpha=alpha, l1_ratio=l1_ratio, **options)
    b = best + 10.0**size * rng.standard_normal(30) * (rng.random(30) < rng.random())
    b = np.where(np.isinf(problem.v), 0, np.clip(b, problem.lo, problem.hi))
    b0 += 10.0**size * rng.standard_normal() * rng.integers(2) if problem.intercept else 0
    proof = certify(X, Y, b, b0, alpha=alpha, l1_ratio=l1_ratio, **options)
    lost = float(problem.primal(b, b0) - problem.primal(best))
    assert proof.gap * problem.null >= lost - 1e-13 * problem.null
    assert proof.dual <= problem.primal(best) + 1e-14 * problem.null
    assert proof.gap >= 0


@every_ratio
def test_an_intercept_that_is_off_is_counted(l1_ratio: float) -> None:
    b, b0 = solution(0.3, l1_ratio=l1_ratio)
    for off in (1e-3, -0.1, 5.0):
        proof = certify(X, Y, b, b0 + off, alpha=0.3, l1_ratio=l1_ratio)
        null = objective(X, Y).null
        assert proof.gap == pytest.approx(off**2 / 2 / null, rel=1e-6)  # the loss is ½ off² above its minimum


@pytest.mark.parametrize("standardize", [True, False])
def test_free_columns_that_are_off_are_counted(standardize: bool) -> None:
    v = np.where(np.arange(30) < 2, 0.0, 1.0)
    options = {"penalty_factors": v, "standardize": standardize}
    b, b0 = solution(0.3, **options)
    moved = b + np.eye(30)[0] * 0.1
    proof = certify(X, Y, moved, b0, alpha=0.3, **options)
    problem = objective(X, Y, alpha=0.3, **options)
    assert proof.gap == pytest.approx(float(problem.primal(moved, b0) - problem.primal(b, b0)) / problem.null, rel=1e-5)


@pytest.mark.parametrize("l1_ratio", [0.95, 0.5, 0.05, 0.0])
def test_the_better_of_the_two_elastic_net_duals(l1_ratio: float) -> None:
    """Neither dual is always the better one; the certificate is never worse than either (by the oracle)."""
    for alpha in (1.0, 0.1):
        for tol in (1e-1, 1e-3, 1e-6):
            b, b0 = solution(alpha, tol, l1_ratio=l1_ratio)
            rough = b * 1.01
            for point in (b, rough):
                problem = objective(X, Y, alpha=alpha, l1_ratio=l1_ratio)
                best = float(problem.gap(point))
                b0 = float(problem.level - problem.means @ point)
                assert certify(X, Y, point, b0, alpha=alpha, l1_ratio=l1_ratio).gap <= best * (1 + 1e-9) + 1e-14


def test_zero_coefficients_are_optimal_from_alpha_max_on() -> None:
    from regfast import alpha_max

    top = alpha_max(X, Y)
    assert certify(X, Y, np.zeros(30), Y.mean(), alpha=top).gap <= 1e-15
    assert certify(X, Y, np.zeros(30), Y.mean(), alpha=top * 0.99).gap > 1e-6
    assert certify(X, Y, np.zeros(30), Y.mean(), alpha=2 * top).zero.tolist() == list(range(30))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_somebody_elses_model(l1_ratio: float) -> None:
    for tol in (1e-2, 1e-5):
        model = ElasticNet(alpha=0.1, l1_ratio=l1_ratio, tol=tol).fit(X, Y)
        proof = certify(X, Y, model.coef_, model.intercept_, alpha=0.1, l1_ratio=l1_ratio, standardize=False)
        gap = proof.gap * objective(X, Y).null
        if l1_ratio == 1:
            assert gap == pytest.approx(model.dual_gap_, rel=1e-3, abs=1e-12)
        assert gap <= model.dual_gap_ * (1 + 1e-3) + 1e-12  # it knows one dual point of the elastic net, this one two


def test_free_columns_with_bounds_have_a_kkt_residual() -> None:
    v, bounds = np.where(np.arange(30) < 2, 0.0, 1.0), (-0.2, 0.2)
    b, b0 = solution(0.3, penalty_factors=v, bounds=bounds)
    proof = certify(X, Y, b, b0, alpha=0.3, penalty_factors=v, bounds=bounds)
    assert proof.kind == "kkt residual"
    assert proof.gap == proof.kkt <= 1e-13
    off = np.clip(b + 0.05, -0.2, 0.2)
    proof = certify(X, Y, off, b0, alpha=0.3, penalty_factors=v, bounds=bounds)
    problem = objective(X, Y, alpha=0.3, penalty_factors=v, bounds=bounds)
    assert proof.kkt == pytest.approx(problem.kkt(off), rel=1e-6)
    assert proof.gap > 1e-3


# ---- what is proved about the support


@every_option
@pytest.mark.parametrize("l1_ratio", [1.0, 0.9, 0.3])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6, 1e-10])
def test_proofs_about_the_support_are_true(tol: float, l1_ratio: float, options: dict[str, Any]) -> None:
    for alpha in (1.0, 0.3, 0.05):
        exact, _ = solution(alpha, l1_ratio=l1_ratio, **options)
        b, b0 = solution(alpha, tol, l1_ratio=l1_ratio, **options)
        for point in (b, b * 1.02 if "bounds" not in options else b * 0.98):
            proof = certify(X, Y, point, b0, alpha=alpha, l1_ratio=l1_ratio, **options)
            assert not exact[proof.zero].any()
            assert exact[proof.nonzero].all()
            everything = np.sort(np.concatenate([proof.zero, proof.nonzero, proof.undecided]))
            assert_array_equal(everything, np.arange(30))


@every_option
@pytest.mark.parametrize("l1_ratio", [1.0, 0.9])
def test_a_tight_solution_leaves_nothing_undecided(l1_ratio: float, options: dict[str, Any]) -> None:
    exact, b0 = solution(0.3, l1_ratio=l1_ratio, **options)
    proof = certify(X, Y, exact, b0, alpha=0.3, l1_ratio=l1_ratio, **options)
    assert_array_equal(proof.nonzero, np.flatnonzero(exact))
    assert_array_equal(proof.zero, np.flatnonzero(exact == 0))


def test_ridge_proves_no_zero() -> None:
    b, b0 = solution(0.3, l1_ratio=0.0)
    proof = certify(X, Y, b, b0, alpha=0.3, l1_ratio=0.0)
    assert not proof.zero.size


def test_wide_data() -> None:
    A, y, _ = make_data(n=30, p=200, seed=3)
    path = fit_path(A, y, alphas=[0.5], tol=1e-13)
    exact = path.coefs.toarray()[:, 0]
    for tol in (1e-2, 1e-4, 1e-12):
        rough = fit_path(A, y, alphas=[0.5], tol=tol)
        proof = certify(A, y, rough.coefs.toarray()[:, 0], rough.intercepts[0], alpha=0.5)
        assert not exact[proof.zero].any()
        assert exact[proof.nonzero].all()
    assert len(proof.undecided) == 0


# ---- ties, constants


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_ties_are_listed_and_only_their_sum_is_determined(l1_ratio: float) -> None:
    A = np.column_stack([X[:, :5], X[:, 2], X[:, 1], X[:, 2]])
    path = fit_path(A, Y, alphas=[0.2], l1_ratio=l1_ratio, tol=1e-13)
    b, b0 = path.coefs.toarray()[:, 0], path.intercepts[0]
    proof = certify(A, Y, b, b0, alpha=0.2, l1_ratio=l1_ratio)
    assert [tie.tolist() for tie in proof.ties] == [[1, 6], [2, 5, 7]]
    if l1_ratio == 1:  # any way to share is as good
        assert not set(proof.nonzero) & {1, 2, 5, 6, 7}
        assert set(proof.undecided) >= {1, 2, 5, 6, 7}
        shared = b.copy()
        shared[[2, 5, 7]] = b[[2, 5, 7]].sum() * np.array([0.5, 0.2, 0.3])
        assert certify(A, Y, shared, b0, alpha=0.2).gap <= 1e-12
        against = b.copy()
        against[[2, 5, 7]] += [1.0, -1.0, 0.0]  # the fit stays, the penalty does not
        problem = objective(A, Y, alpha=0.2)
        lost = float(problem.primal(against, b0) - problem.primal(b, b0)) / problem.null
        assert certify(A, Y, against, b0, alpha=0.2).gap == pytest.approx(lost, rel=1e-9)
    unequal = np.where(np.arange(8) == 2, b[[2, 5, 7]].sum(), np.where(np.isin(np.arange(8), [5, 7]), 0, b))
    expected = float(objective(A, Y, alpha=0.2, l1_ratio=l1_ratio).primal(unequal, b0))
    assert certify(A, Y, unequal, b0, alpha=0.2, l1_ratio=l1_ratio).primal == pytest.approx(expected, rel=1e-12)


def test_ties_of_free_columns_prove_nothing() -> None:
    A = np.column_stack([X[:, :4], X[:, 0]])
    v = np.array([0.0, 1, 1, 1, 0.0])
    path = fit_path(A, Y, alphas=[0.2], penalty_factors=v, tol=1e-13)
    proof = certify(A, Y, path.coefs.toarray()[:, 0], path.intercepts[0], alpha=0.2, penalty_factors=v)
    assert proof.gap <= 1e-12
    assert not set(proof.nonzero) & {0, 4}
    assert [tie.tolist() for tie in proof.ties] == [[0, 4]]


def test_constant_columns_are_zero_and_cost_what_they_cost() -> None:
    A = np.column_stack([X[:, :3], np.full(60, 2.0)])
    path = fit_path(A, Y, alphas=[0.2], tol=1e-13)
    b, b0 = path.coefs.toarray()[:, 0], path.intercepts[0]
    proof = certify(A, Y, b, b0, alpha=0.2)
    assert 3 in proof.zero
    moved = b + np.array([0, 0, 0, 0.5])
    assert certify(A, Y, moved, b0 - 1.0, alpha=0.2).gap == pytest.approx(0.2 * 0.5 / objective(A, Y).null, rel=1e-9)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_constant_y(l1_ratio: float) -> None:
    proof = certify(X, np.full(60, 3.3), np.zeros(30), 3.3, alpha=0.1, l1_ratio=l1_ratio)
    assert proof.gap == 0
    worse = certify(X, np.full(60, 3.3), np.zeros(30), 3.4, alpha=0.1, l1_ratio=l1_ratio)
    assert worse.primal == pytest.approx(0.005, rel=1e-12)
    assert worse.gap > 1
    assert worse.dual <= 1e-15


def test_the_gap_does_not_depend_on_units() -> None:
    b, b0 = solution(0.2, 1e-3)
    a = certify(X, Y, b, b0, alpha=0.2)
    c = certify(np.ldexp(X, 9), np.ldexp(Y, 3), np.ldexp(b, -6), np.ldexp(b0, 3), alpha=np.ldexp(0.2, 3))
    d = certify(X, Y, b, b0, alpha=0.2, sample_weight=np.full(60, 7.0))
    assert a.gap == c.gap
    assert a.gap == pytest.approx(d.gap, rel=1e-9, abs=8 * EPS)
    assert_array_equal(a.nonzero, c.nonzero)
