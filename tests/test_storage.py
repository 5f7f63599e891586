"""However X is stored, the numbers are the same: coefficients, certificates, and X itself afterwards."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from oracle import check_path, make_data

import regfast

Array = NDArray[Any]
TOL = 1e-13
OPTIONS: dict[str, Any] = {"tol": TOL, "n_alphas": 12, "eps": 0.02, "early_stop": False}
NAMES = [f"f{j}" for j in range(20)]


def sliced_rows(X: Array) -> Array:
    base = np.full((2 * X.shape[0] + 3, X.shape[1] + 4), 77.0, dtype=X.dtype)
    base[1:-2:2, 3:-1] = X
    return base[1:-2:2, 3:-1]


def read_only(X: Array) -> Array:
    X = np.ascontiguousarray(X).copy()
    X.flags.writeable = False
    return X


def wide_indices(matrix: Any) -> Any:
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def with_duplicates(X: Array) -> Any:
    """COO in which every number is stored as two halves, in no order."""
    coo = sp.coo_array(X)
    order = np.random.default_rng(0).permutation(2 * coo.nnz)
    row, col, data = (np.tile(part, 2)[order] for part in (coo.row, coo.col, coo.data / 2))
    return sp.coo_array((data, (row, col)), shape=X.shape)


def unsorted(X: Array) -> Any:
    csr = sp.csr_array(X)
    for a, b in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        csr.indices[a:b], csr.data[a:b] = csr.indices[a:b][::-1].copy(), csr.data[a:b][::-1].copy()
    csr.has_sorted_indices = False
    return csr


def with_zeros(X: Array) -> Any:
    """CSC that stores a zero wherever the row number is even."""
    rows, cols = np.nonzero((X != 0) | (np.arange(len(X)) % 2 == 0)[:, None])
    order = np.lexsort((rows, cols))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(cols, minlength=X.shape[1]))])
    return sp.csc_array((X[rows, cols][order], rows[order], indptr), shape=X.shape)


def split_csr(X: Array) -> Any:
    """CSR in which every number is stored as two halves."""
    csr = sp.csr_array(X)
    return sp.csr_array((np.repeat(csr.data / 2, 2), np.repeat(csr.indices, 2), 2 * csr.indptr), shape=X.shape)


FLOATS: dict[str, Callable[[Array], Any]] = {
    "C": np.ascontiguousarray, "F": np.asfortranarray, "sliced": sliced_rows, "read-only": read_only,
    "F sliced": lambda X: np.asfortranarray(np.repeat(X, 2, axis=1))[:, ::2],
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=1), 2, axis=0)[::2, ::2],
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "C upside down": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "F mirrored": lambda X: np.asfortranarray(X[:, ::-1])[:, ::-1],
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "CSC": sp.csc_array, "CSR": sp.csr_array, "COO": sp.coo_array,
    "CSC matrix": sp.csc_matrix, "CSR matrix": sp.csr_matrix, "COO matrix": sp.coo_matrix,
    "CSC int64": lambda X: wide_indices(sp.csc_array(X)), "CSR int64": lambda X: wide_indices(sp.csr_array(X)),
    "LIL": sp.lil_array, "DOK": sp.dok_array, "BSR": lambda X: sp.bsr_array(X, blocksize=(5, 4)), "DIA": sp.dia_array,
    "CSR unsorted": unsorted, "COO duplicates": with_duplicates, "CSR duplicates": split_csr,
    "CSC zeros": with_zeros,
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES), "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "arrow": lambda X: pa.table({name: X[:, j] for j, name in enumerate(NAMES)}),
    "pandas sparse": lambda X: pd.DataFrame.sparse.from_spmatrix(sp.csc_array(X), columns=NAMES),
}  # fmt: skip


OTHERS: dict[str, Callable[[Array], Any]] = {
    "bool": lambda X: X > 0.5, "bool F": lambda X: np.asfortranarray(X > 0.5),
    "bool CSR": lambda X: sp.csr_array(X > 0.5), "bool CSC": lambda X: sp.csc_array(X > 0.5),
    "int32": lambda X: np.rint(4 * X).astype(np.int32), "uint8": lambda X: np.rint(abs(9 * X)).astype(np.uint8),
    "int64 CSC": lambda X: sp.csc_array(np.rint(4 * X).astype(np.int64)), "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble), "object": lambda X: X.astype(object),
    "list": lambda X: X.tolist(),
    "pandas mixed": lambda X: pd.DataFrame({n: (X[:, j] > 1, X[:, j].astype("f4"), X[:, j])[j % 3]
                                            for j, n in enumerate(NAMES)}),
    "pandas nullable": lambda X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "polars mixed": lambda X: pl.DataFrame({n: X[:, j] > 1 if j % 2 else np.rint(X[:, j]).astype(np.int32)
                                            for j, n in enumerate(NAMES)}),
    "arrow mixed": lambda X: pa.table({n: X[:, j] > 1 if j % 2 else X[:, j].astype("f4") for j, n in enumerate(NAMES)}),
    "arrow chunked": lambda X: pa.concat_tables([pa.table({n: part[:, j] for j, n in enumerate(NAMES)})
                                                 for part in (X[:17], X[17:])]),
}  # fmt: skip


def to_numpy(stored: Any) -> Array:
    """The numbers as a Fortran-ordered float64 array."""
    if sp.issparse(stored):
        stored = stored.toarray()
    elif isinstance(stored, pa.Table):
        stored = np.column_stack([np.asarray(column.to_pylist(), dtype=float) for column in stored.columns])
    elif isinstance(stored, (pd.DataFrame, pl.DataFrame)):
        stored = np.column_stack([np.asarray(stored[name].to_list(), dtype=float) for name in stored.columns])
    return np.asfortranarray(stored, dtype=np.float64)


def buffers(stored: Any) -> list[bytes]:
    """Every byte that the object stands for."""
    if sp.issparse(stored) and stored.format in ("csr", "csc", "bsr"):
        return [part.tobytes() for part in (stored.data, stored.indices, stored.indptr)]
    if sp.issparse(stored):
        return [stored.toarray().tobytes()]
    return [stored.tobytes()] if isinstance(stored, np.ndarray) else [to_numpy(stored).tobytes()]


DATA = {dtype: make_data(density=0.4)[0].astype(dtype) for dtype in ("f4", "f8")}
_, Y, WEIGHTS = make_data(density=0.4)


@pytest.fixture(scope="module")
def baseline() -> Callable[..., regfast.Path]:
    """Fits to Fortran-ordered float64, once for each set of numbers and options."""
    known: dict[Any, regfast.Path] = {}

    def fit(X: Array, **options: Any) -> regfast.Path:
        key = (X.tobytes(), *((name, options[name] is None or options[name]) for name in
               ("fit_intercept", "standardize")), options["sample_weight"] is None)
        if key not in known:
            known[key] = regfast.fit_path(X, Y, **options, **OPTIONS)
            check_path(known[key], X, Y, **options)
            assert (known[key].status == "converged").all()
        return known[key]

    return fit


def same(path: regfast.Path, other: regfast.Path) -> None:
    assert (path.status == "converged").all()
    assert path.gaps.max() <= TOL
    np.testing.assert_allclose(path.alphas, other.alphas, rtol=1e-13)
    size = abs(other.coefs.toarray()).max()
    np.testing.assert_allclose(path.coefs.toarray(), other.coefs.toarray(), rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(path.intercepts, other.intercepts, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(path.n_nonzero, other.n_nonzero)


@pytest.mark.parametrize("standardize", [True, False], ids=["standardize", "raw"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "origin"])
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weights"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("storage", FLOATS)
def test_floats(
    storage: str, dtype: str, weighted: bool, fit_intercept: bool, standardize: bool, baseline: Any
) -> None:
    X = FLOATS[storage](DATA[dtype])
    before = buffers(X)
    weight = WEIGHTS if weighted else None
    options = {"sample_weight": weight, "fit_intercept": fit_intercept, "standardize": standardize}
    path = regfast.fit_path(X, Y, **options, **OPTIONS)
    same(path, baseline(to_numpy(X), **options))
    assert buffers(X) == before
    check_path(path, to_numpy(X), Y, **options)


@pytest.mark.parametrize("standardize", [True, False], ids=["standardize", "raw"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "origin"])
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weights"])
@pytest.mark.parametrize("storage", OTHERS)
def test_other_types(storage: str, weighted: bool, fit_intercept: bool, standardize: bool, baseline: Any) -> None:
    X = OTHERS[storage](DATA["f8"])
    before = buffers(X) if not isinstance(X, list) else []
    weight = WEIGHTS if weighted else None
    options = {"sample_weight": weight, "fit_intercept": fit_intercept, "standardize": standardize}
    same(regfast.fit_path(X, Y, **options, **OPTIONS), baseline(to_numpy(X), **options))
    assert not before or buffers(X) == before


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_memmap(order: str, dtype: str, tmp_path: Any, baseline: Any) -> None:
    file = tmp_path / "X"
    written = np.memmap(file, dtype=dtype, mode="w+", shape=DATA[dtype].shape, order=order)
    written[:] = DATA[dtype]
    written.flush()
    before = file.read_bytes()
    X = np.memmap(file, dtype=dtype, mode="r", shape=DATA[dtype].shape, order=order)
    options = {"sample_weight": None, "fit_intercept": True, "standardize": True}
    same(regfast.fit_path(X, Y, **options, **OPTIONS), baseline(to_numpy(X), **options))
    assert file.read_bytes() == before


@pytest.mark.parametrize("kind", ["list", "pandas", "polars", "arrow", "column", "float32", "int", "read-only"])
def test_y_however_stored(kind: str) -> None:
    X, y, _ = make_data(seed=4)
    y = np.rint(4 * y)
    stored = {
        "list": y.tolist(), "pandas": pd.Series(y), "polars": pl.Series(y), "arrow": pa.array(y), "column": y[:, None],
        "float32": y.astype(np.float32), "int": y.astype(np.int64), "read-only": read_only(y),
    }[kind]  # fmt: skip
    a, b = regfast.fit_path(X, stored, alphas=[0.5, 0.1]), regfast.fit_path(X, y, alphas=[0.5, 0.1])
    np.testing.assert_array_equal(a.coefs.toarray(), b.coefs.toarray())
    np.testing.assert_array_equal(a.intercepts, b.intercepts)


def test_names_are_kept() -> None:
    for storage in ("pandas", "polars", "arrow", "pandas sparse"):
        path = regfast.fit_path(FLOATS[storage](DATA["f8"]), Y, alphas=[1.0])
        assert list(path.feature_names_in_) == NAMES
    assert regfast.fit_path(DATA["f8"], Y, alphas=[1.0]).feature_names_in_ is None


def peak_of(call: Callable[[], Any]) -> int:
    """Bytes that NumPy and Python held at most during a call, beyond what they held before."""
    call()  # imports and caches
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_full_columns_far_from_zero_in_a_sparse_table(family: str) -> None:
    """Years, heights in millimetres, seconds since 1970 beside one-hot columns: no digit is lost that counts.

    (Of seconds within a few hours of each other too many are: `status` says rounding.)
    """
    rng = np.random.default_rng(2)
    n = 400
    hot = rng.integers(0, 30, n)[:, None] == np.arange(30)
    X = np.hstack([hot, 2000 + rng.integers(0, 25, (n, 2)), 1700 + 80 * rng.standard_normal((n, 3)),
                   1.6e9 + 1e6 * rng.random((n, 2))])
    eta = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(X.shape[1]) / 3
    y = (eta + rng.standard_normal(n) > 0).astype(float) if family == "binomial" else eta + rng.standard_normal(n)
    kept: dict[str, Any] = {"family": family, "tol": 1e-11, "n_alphas": 20, "eps": 1e-3, "early_stop": False}
    sparse, full = (regfast.fit_path(kind(X), y, **kept) for kind in (sp.csr_array, np.asfortranarray))
    assert (sparse.status == "converged").all()
    scale = X.std(axis=0)[:, None]
    np.testing.assert_allclose(sparse.coefs.toarray() * scale, full.coefs.toarray() * scale, atol=2e-6)


@pytest.mark.parametrize("storage", ["C", "F", "read-only", "CSR", "CSC", "CSR int64", "CSC int64"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nothing_of_the_size_of_x_is_allocated(storage: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    if storage.startswith("CS"):
        n, p = 4000, 6000  # dense: 192 MB
        X = sp.random_array((n, p), density=0.002, rng=rng, format=storage[:3].lower(), dtype=np.dtype(dtype).type)
        X = wide_indices(X) if storage.endswith("64") else X
        most = X.data.nbytes // 2 + 40 * 8 * (n + p)  # as below: no copy of the values, let alone of the matrix
    else:
        n, p = 2000, 1000
        X = FLOATS[storage](rng.standard_normal((n, p)).astype(dtype))
        most = X.nbytes // 4 + 20 * 8 * (n + p)
    y = rng.standard_normal(n)
    limit = 0.3 * float(regfast.alpha_max(X, y))
    assert peak_of(lambda: regfast.fit_path(X, y, alphas=[3 * limit, 2.5 * limit])) < most
