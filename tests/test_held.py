"""Rows held out, by their moments: what the training rows' moments are, and what predictions lose there."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import regfast
from regfast.held import Held
from regfast.path import prepare
from regfast.problem import measure

Array = NDArray[Any]
RNG = np.random.default_rng(0)
N, P = 4000, 20
MIXED = RNG.standard_normal((N, P)) @ RNG.standard_normal((P, P)) * 10.0 ** RNG.integers(-3, 4, P) + RNG.normal(size=P)
MIXED[:, 3] = MIXED[:, 7]
Y = MIXED @ (RNG.standard_normal(P) / MIXED.std(0)) + 3 * RNG.standard_normal(N) + 50
W = RNG.integers(0, 4, N).astype(float)
COUNTS = RNG.poisson(0.05, (N, P)).astype(float)
STORAGES: dict[str, Any] = {"C": MIXED, "F": np.asfortranarray(MIXED), "f4": MIXED.astype("f4"),
                            "far": MIXED + 1e5 * MIXED.std(0), "CSR": sp.csr_array(COUNTS)}
# the grids are those of the test, however low the best α lies on them
pytestmark = pytest.mark.filterwarnings("ignore:the best alpha")
every_storage = pytest.mark.parametrize("X", list(STORAGES.values()), ids=list(STORAGES))


@every_storage
@pytest.mark.parametrize("w", [np.ones(N), W], ids=["equal", "weighted"])
def test_what_is_left_has_the_moments_of_the_training_rows(w: Array, X: Any) -> None:
    problem = prepare(X, Y, sample_weight=w, solves=100)
    assert Held.serves(problem)
    rows = np.sort(RNG.choice(N, N // 5, replace=False))
    others = Held(problem, rows).others()
    assert others is not None
    left = problem.w.copy()
    left[rows] = 0
    direct = measure(problem.data, left / left.sum(), Y, True, 100, None)
    sd = np.sqrt(direct[1])
    assert_allclose(others[0], direct[0], atol=1e-12 * sd.min(), rtol=1e-13)
    assert_allclose(others[1], direct[1], rtol=1e-9)
    assert_array_equal(others[2], direct[2])
    for ours, true, size in zip(others[3:], direct[3:], (np.outer(sd, sd), sd * np.std(Y)), strict=True):
        assert ours is not None
        assert true is not None
        assert_allclose(ours / size, true / size, atol=1e-9)


@every_storage
def test_masks_equal_copies(X: Any) -> None:
    """Folds that share X against fits to copies of their training rows, scored where they were held out."""
    folds = [(np.flatnonzero(np.arange(N) % 4 != k), np.flatnonzero(np.arange(N) % 4 == k)) for k in range(4)]
    offset = RNG.standard_normal(N)
    cv = regfast.fit_cv(X, Y, cv=folds, sample_weight=W, offset=offset, n_alphas=15, tol=1e-12, eps=1e-3)
    dense = X.toarray() if sp.issparse(X) else X
    for k, (train, test) in enumerate(folds):
        path = regfast.fit_path(dense[train], Y[train], alphas=cv.path.alphas, sample_weight=W[train],
                                offset=offset[train], tol=1e-12)
        eta = path.predict(dense[test], offset=offset[test])
        loss = np.average((Y[test][:, None] - eta) ** 2, axis=0, weights=W[test])
        assert_allclose(cv.scores[k], loss, rtol=1e-9)
        at = int(np.argmin(cv.score_mean))
        assert_allclose(cv.oof_predictions[test], eta[:, at], rtol=1e-7)


def test_columns_that_only_vary_where_they_are_held_out() -> None:
    """Of these nothing is left in the training rows but rounding: it is not taken for a column."""
    X = MIXED.copy()
    fold = np.arange(N) % 4 == 1
    X[~fold, 2] = 7.0
    problem = prepare(X, Y, solves=100)
    assert Held(problem, np.flatnonzero(fold)).others() is None
    cv = regfast.fit_cv(X, Y, cv=[(~fold, fold), (fold, ~fold)], n_alphas=8)
    alone = regfast.fit_path(X[~fold], Y[~fold], alphas=cv.path.alphas)
    loss = ((Y[fold][:, None] - alone.predict(X[fold])) ** 2).mean(axis=0)
    assert_allclose(cv.scores[0], loss, rtol=1e-5)


def test_a_perfect_fit_is_scored_by_its_rows() -> None:
    X = MIXED[:, :3]
    y = X @ [1.0, 2.0, 3.0]
    cv = regfast.fit_cv(X, y, cv=3, alphas=np.std(y) * np.geomspace(1, 1e-9, 10), tol=1e-12)
    assert 0 < cv.scores[:, -1].max() < 1e-15 * np.var(y)
