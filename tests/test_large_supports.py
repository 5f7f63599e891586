"""Elastic nets that keep hundreds of sparse columns: descent where factors would be dear, factors where it is slow."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from oracle import Array, check_path

from regfast import fit_path

RNG = np.random.default_rng(0)
N, P = 500, 400
ALPHAS = np.geomspace(0.03, 3e-4, 8)


def independent() -> Any:
    """Four entries in a column, each alone in what it says."""
    return sp.random_array((N, P), density=4 / N, rng=RNG, data_sampler=RNG.standard_normal, format="csr")


def dependent() -> Any:
    """Sums of neighbours: second differences, which coordinates smooth slowly."""
    return sp.diags_array([np.ones(N), -2 * np.ones(N), np.ones(N)], offsets=[-1, 0, 1], shape=(N, P)).tocsr()


@pytest.mark.parametrize("design", [independent, dependent])
@pytest.mark.parametrize("l1_ratio", [0.5, 0.05, 1e-4])
@pytest.mark.parametrize("storage", [sp.csr_array, sp.csc_array, lambda X: np.asfortranarray(X.toarray())],
                         ids=["CSR", "CSC", "dense"])
@pytest.mark.parametrize("tol", [1e-4, 1e-10])
def test_every_solution_is_proved(design: Any, l1_ratio: float, storage: Any, tol: float) -> None:
    X = design()
    y = X @ RNG.standard_normal(P) + 0.1 * RNG.standard_normal(N)
    options: dict[str, Any] = {"l1_ratio": l1_ratio, "standardize": False}
    path = fit_path(storage(X), y, alphas=ALPHAS, tol=tol, early_stop=False, **options)
    assert (path.status == "converged").all()
    assert path.n_nonzero[-1] > 200
    check_path(path, X.toarray(), y, **options)


@pytest.mark.parametrize("design", [independent, dependent])
def test_storage_makes_no_difference(design: Any) -> None:
    """Dense columns are as dear as their factor, and always solved by it."""
    X = design()
    y: Array = X @ RNG.standard_normal(P) + 0.1 * RNG.standard_normal(N)
    sparse, dense = (fit_path(x, y, l1_ratio=0.3, alphas=ALPHAS, tol=1e-14) for x in (X, X.toarray()))
    assert_allclose(sparse.coefs.toarray(), dense.coefs.toarray(), atol=1e-5)
    assert sparse.gaps.max() <= 1e-14
