"""All classes at once: the sweeps of softmax against extended precision, the steps against class after class."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

import regfast
from regfast import multinomial, pairs
from regfast._softmax import shares, young
from regfast.path import prepare
from regfast.several import solve_several
from regfast.turns import Turns

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("n", [1, 255, 256, 600])
@pytest.mark.parametrize("spread", [1.0, 40.0, 2000.0])
def test_probabilities_loss_and_its_part_of_the_gap(n: int, spread: float) -> None:
    C = 4
    eta, b0, w = spread * RNG.standard_normal((C, n)), RNG.standard_normal(C), RNG.random(n)
    y = np.ascontiguousarray(RNG.dirichlet(np.ones(C), n).T)
    y[:, ::2] = np.eye(C)[RNG.integers(C, size=len(y[0, ::2]))].T
    mu, level = np.empty((C, n)), np.empty(n)
    value = shares(eta, b0, y, w, mu, level)
    less = (eta + b0[:, None]).astype(np.longdouble)
    top = less.max(axis=0)
    less = less - top
    total = np.log(np.exp(less).sum(axis=0))
    assert_allclose(mu, np.exp(less - total).astype(float), rtol=1e-13 * (1 + spread), atol=1e-300)
    assert_allclose(level, (top + total).astype(float), rtol=1e-14, atol=1e-13 * spread)
    assert value == pytest.approx(float((w * (total - (y * less).sum(axis=0))).sum()), rel=1e-13)
    for s in (0.0, 0.3, 0.999):
        m = (1 - s) * y + s * np.exp(less - total)
        log_m = np.log(np.where(m > 0, m, 1))
        each = (m * (log_m - (less - total))).sum(axis=0)
        found = young(s, eta + b0[:, None], y, w, mu, level)
        assert found == pytest.approx(float((w * each).sum()), rel=1e-9, abs=1e-15 * (1 + spread))
        assert found >= -1e-15


def problem(l1_ratio: float, sparse: bool, **options: object) -> tuple[object, np.ndarray, object]:
    X = RNG.standard_normal((90, 12)) * (RNG.random((90, 12)) < 0.6)
    X[:, 7], X[:, 8] = X[:, 6], 2 * X[:, 5] - X[:, 4]
    B = RNG.standard_normal((12, 3)) * (RNG.random((12, 3)) < 0.4)
    y = (X @ B + RNG.gumbel(size=(90, 3))).argmax(axis=1)
    A = sp.csr_array(X) if sparse else X
    return A, y, prepare(A, y, family="multinomial", l1_ratio=l1_ratio, **options)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"bounds": (-0.2, 0.4)},
                                     {"sample_weight": np.arange(90) % 3}], ids=["plain", "origin", "box", "weights"])
def test_steps_on_all_classes_end_where_class_after_class_does(sparse: bool, l1_ratio: float, options: dict) -> None:
    X, y, built = problem(l1_ratio, sparse, **options)
    ours = regfast.fit_path(X, y, family="multinomial", l1_ratio=l1_ratio, tol=1e-11, n_alphas=12, eps=0.01,
                            early_stop=False, **options)
    turns = solve_several(Turns(built), ours.alphas, tol=1e-11, max_iter=100_000, standardize=True, has_offset=False)
    assert ours.gaps.max() <= 1e-11
    weight = options.get("sample_weight", np.ones(90))
    for alpha in ours.alphas:
        eta = [ours.predict(X, alpha, kind="link"), turns.predict(X, alpha, kind="link")]
        eta = [e - e.mean(axis=1, keepdims=True) for e in eta]
        assert_allclose(eta[0][weight > 0], eta[1][weight > 0], atol=3e-5)


def test_too_many_pairs_are_handed_over_in_mid_path(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = problem(1.0, False)
    whole = regfast.fit_path(X, y, family="multinomial", tol=1e-10, n_alphas=15, eps=0.01, early_stop=False)
    handed = []
    monkeypatch.setattr(pairs, "MOST", 8)
    turn = multinomial.Softmax._turn
    monkeypatch.setattr(multinomial.Softmax, "_turn", lambda self: handed.append(self.n_iter) or turn(self))
    cut = regfast.fit_path(X, y, family="multinomial", tol=1e-10, alphas=whole.alphas)
    assert len(handed) == 1
    assert handed[0] > 0
    assert cut.gaps.max() <= 1e-10
    assert (cut.n_iter >= 0).all()
    assert_allclose(cut.predict(X), whole.predict(X), atol=1e-4)
    for alpha in cut.alphas[[3, -1]]:
        proof = regfast.certify(X, y, cut.coef_at(alpha), cut.intercept_at(alpha), alpha=alpha, family="multinomial")
        assert proof.gap <= 1.1e-10


@pytest.mark.parametrize("seed", range(12))
def test_rows_that_no_class_leaves_do_not_hold_the_steps_up(seed: int) -> None:
    """What is added to such a row changes no fit, one coefficient of it stays: Newton's steps end as fast as ever."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 8))
    y = (2 * X @ rng.standard_normal((8, 5)) + rng.gumbel(size=(300, 5))).argmax(axis=1)
    model = multinomial.Softmax(prepare(X, y, family="multinomial"))
    model.start()
    status, gap = model.solve(2e-3, 1e-13, 16)
    assert status == "converged"
    assert gap <= 1e-13
    assert (np.count_nonzero(model.coefs(), axis=0) == 4).any()  # the fifth is at the median of the row, 0
