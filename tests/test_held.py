"""Rows held out, by their moments: what the training rows' moments are, and what predictions lose there."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import regfast
from regfast.held import hold_out
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
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_what_is_left_has_the_moments_of_the_training_rows(w: Array, X: Any, times: int) -> None:
    """And all rows have those of all; rows that are left out twice are summed up for each of the folds alone."""
    rows = np.sort(RNG.choice(N, N // 5, replace=False))
    fold = np.setdiff1d(np.arange(N), rows), rows
    problem, parts = hold_out(prepare(X, Y, sample_weight=w), times * [fold], 100, 1)
    left = problem.w.copy()
    left[rows] = 0
    for part in parts:
        assert part is not None
        agree(part.others(), measure(problem.data, left / left.sum(), Y, True, 100, None))
    agree(problem.measured, measure(problem.data, problem.w, Y, True, 100, None))


def agree(ours: Any, true: Any) -> None:
    sd = np.sqrt(true[1])
    assert_allclose(ours[0], true[0], atol=1e-12 * sd.min(), rtol=1e-13)
    assert_allclose(ours[1], true[1], rtol=1e-9)
    assert_array_equal(ours[2], true[2])
    for one, other, size in zip(ours[3:], true[3:], (np.outer(sd, sd), sd * np.std(Y)), strict=True):
        assert_allclose(one / size, other / size, atol=1e-9)


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
    _, (held, _) = hold_out(prepare(X, Y), [(np.flatnonzero(~fold), np.flatnonzero(fold)),
                                           (np.flatnonzero(fold), np.flatnonzero(~fold))], 100, 2)
    assert held is not None
    assert held.others() is None
    cv = regfast.fit_cv(X, Y, cv=[(~fold, fold), (fold, ~fold)], n_alphas=8)
    alone = regfast.fit_path(X[~fold], Y[~fold], alphas=cv.path.alphas)
    loss = ((Y[fold][:, None] - alone.predict(X[fold])) ** 2).mean(axis=0)
    assert_allclose(cv.scores[0], loss, rtol=1e-5)


def test_a_perfect_fit_is_scored_by_its_rows() -> None:
    X = MIXED[:, :3]
    y = X @ [1.0, 2.0, 3.0]
    cv = regfast.fit_cv(X, y, cv=3, alphas=np.std(y) * np.geomspace(1, 1e-9, 10), tol=1e-12)
    assert 0 < cv.scores[:, -1].max() < 1e-15 * np.var(y)


@pytest.mark.parametrize("order", ["C", "F"])
def test_threads_share_out_the_folds_and_change_no_bit(order: Any) -> None:
    """Of rows that take many blocks."""
    n = 10 * N
    X, y, w = np.asarray(np.tile(MIXED, (10, 1)), order=order), np.tile(Y, 10), np.tile(W, 10)
    which = RNG.integers(0, 7, n)
    folds = [(np.flatnonzero(which != k), np.flatnonzero(which == k)) for k in range(7)]
    alone, shared = (hold_out(prepare(X, y, sample_weight=w), folds, 100, workers)[1] for workers in (1, 3))
    for one, other in zip(alone, shared, strict=True):
        assert one is not None
        assert other is not None
        for name in ("weight", "e", "ee", "x", "xe", "xx"):
            assert_array_equal(getattr(one, name), getattr(other, name))


def test_moments_of_many_folds_do_not_outgrow_x() -> None:
    """With a fold for every row they would take p² numbers for each row."""
    folds = [(np.delete(np.arange(N), k), np.array([k])) for k in range(N)]
    problem, held = hold_out(prepare(MIXED, Y), folds, 100, 1)
    assert problem.square is not None
    assert held == [None] * N
