"""What users have, in; canonical arrays, out. Every message names the argument, what came and what is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._design import Design, dense, sparse

Float = NDArray[np.float64]
MAX_ROWS = 2**31 - 1
FLOATS = (np.dtype("f4"), np.dtype("f8"))


class Data(NamedTuple):
    """X as the kernels see it, and as NumPy or SciPy does (the same memory)."""

    design: Design
    X: Any  # (n, p) float32 or float64 ndarray, csr_array or csc_array
    names: NDArray[np.object_] | None  # (p,) column names where the input had them


def _frame(X: Any) -> tuple[Any, list[Any]] | None:
    """(matrix, names) of a pandas, polars or Arrow table; None for anything else."""
    if hasattr(X, "column_names") and hasattr(X, "to_pandas"):  # pyarrow.Table
        columns = [c.to_numpy() if hasattr(c, "to_numpy") else np.asarray(c) for c in X.columns]
        return _stack(columns, list(X.column_names), X.num_rows), list(X.column_names)
    if not (hasattr(X, "columns") and hasattr(X, "to_numpy")):
        return None
    names = list(X.columns)
    kinds = list(getattr(X, "dtypes", []))
    if names and all(hasattr(kind, "fill_value") and hasattr(kind, "subtype") for kind in kinds):
        return X.sparse.to_coo(), names  # a pandas frame of sparse columns
    matrix = X.to_numpy()
    numeric = all(getattr(kind, "is_numeric", lambda: True)() or str(kind) == "Boolean" for kind in kinds)
    if matrix.dtype.kind in "biuf" and numeric:  # (polars turns dates into numbers without a word)
        return matrix, names
    columns = [np.asarray(X[name]) for name in names] if len(set(map(str, names))) == len(names) else list(matrix.T)
    return _stack(columns, names, len(X)), names


def _stack(columns: list[NDArray[Any]], names: list[Any], n: int) -> NDArray[Any]:
    """Columns of different numeric types side by side, as float64; the text ones are named in the error."""
    text = []
    for name, column in zip(names, columns, strict=True):
        if column.dtype.kind in "mM":
            text.append(name)
        elif column.dtype.kind not in "biuf":
            try:
                column.astype(np.float64)
            except (TypeError, ValueError):
                text.append(name)
    if text:
        raise TypeError(f"X has columns that are not numbers: {text[:10]}; encode them (one-hot, ordinal) or drop them")
    out = np.empty((n, len(columns)), order="F")
    for j, column in enumerate(columns):
        out[:, j] = column
    return out


def as_data(X: Any) -> Data:
    """Any table or matrix as a design.

    float32 and float64, C and Fortran order, CSR and CSC are taken as they are, without a copy; other types are
    converted to float64, other sparse formats to CSR, arrays strided in both directions to C order.

    Raises
    ------
    TypeError
        X is not numeric.
    ValueError
        X is not 2-D, has no rows or over 2³¹ − 1, or is not a valid sparse matrix.
    """
    names = None
    framed = _frame(X)
    if framed is not None:
        X, columns = framed
        names = np.array([str(c) for c in columns], dtype=object)
    if sp.issparse(X):
        matrix, design = _as_sparse(X)
    else:
        matrix, design = _as_dense(X)
    return Data(design, matrix, names)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise ValueError(f"X must be 2-D, (n, p); got {len(shape)}-D of shape {shape}. "
                         "Reshape your data: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row")
    if shape[0] < 1:
        raise ValueError(f"X must have at least one row; got shape {shape}")
    if shape[0] > MAX_ROWS:
        raise ValueError(f"X must have at most 2**31 - 1 rows; got {shape[0]}")


def _as_dense(X: Any) -> tuple[NDArray[Any], Design]:
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(f"X is a masked array with {np.ma.getmaskarray(X).sum()} masked entries; fill or drop them")
    try:
        X = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X must be 2-D, (n, p): {error}") from None
    if X.dtype.kind not in "biuf":
        if X.dtype.kind == "c":
            raise ValueError(f"X must be real; got dtype {X.dtype}. Complex data not supported")
        if X.dtype.kind in "mM":
            raise TypeError(f"X must be numeric; got dtype {X.dtype}: turn dates into numbers first")
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"X must be numeric; got dtype {X.dtype}: {error}") from None
    _check_shape(X.shape)
    if X.dtype not in FLOATS or not X.dtype.isnative:
        X = X.astype(np.float64)
    width = X.itemsize
    if not X.flags.aligned or not (X.strides[0] == width or X.strides[1] == width or X.size == 0):
        X = np.ascontiguousarray(X)
    if X.size == 0 or 1 in X.shape:
        X = np.ascontiguousarray(X)
    return X, dense(X)


def _as_sparse(X: Any) -> tuple[Any, Design]:
    _check_shape(X.shape)
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must be real and numeric; got a sparse matrix of dtype {X.dtype}")
    X = X if X.format in ("csr", "csc") else X.tocsr()
    by_column = X.format == "csc"
    _check_compressed(X, X.shape[0] if by_column else X.shape[1])
    array = (sp.csc_array if by_column else sp.csr_array)(X)
    if not array.has_canonical_format:  # repeated entries would be squared one by one
        array = array.copy()
        array.sum_duplicates()
    data = array.data if array.dtype in FLOATS and array.dtype.isnative else array.data.astype(np.float64)
    nnz = int(array.indptr[-1])
    n, p = X.shape
    design = sparse(np.ascontiguousarray(data[:nnz]), np.ascontiguousarray(array.indices[:nnz]),
                    np.ascontiguousarray(array.indptr, dtype=np.int64), n, p, by_column)
    if data is not array.data:
        array = type(array)((data, array.indices, array.indptr), shape=array.shape)
    return array, design


def _check_compressed(X: Any, minor: int) -> None:
    """The kernels follow indices without looking, so that every one is looked at here, once."""
    indptr, indices = X.indptr, X.indices
    sound = len(indptr) == (X.shape[1] if X.format == "csc" else X.shape[0]) + 1
    nnz = int(indptr[-1]) if sound else 0
    sound = sound and indptr[0] == 0 and nnz <= min(len(X.data), len(indices)) and not np.any(indptr[1:] < indptr[:-1])
    if sound and nnz:
        sound = int(indices[:nnz].min()) >= 0 and int(indices[:nnz].max()) < minor
    if not sound:
        raise ValueError(f"X is not a valid {X.format} matrix of shape {X.shape}: indptr must rise from 0 to at most "
                         f"len(data), and every index must lie in [0, {minor})")


def check_finite(data: Data, mean: Float, var: Float) -> None:
    """X is finite if its moments are; where they are not, say what X holds."""
    if np.isfinite(mean).all() and np.isfinite(var).all():
        return
    j = int(np.flatnonzero(~(np.isfinite(mean) & np.isfinite(var)))[0])
    name = f"column {j}" if data.names is None else f"column {j} ({data.names[j]!r})"
    column = data.X[:, [j]]
    values = column.data if sp.issparse(column) else np.asarray(column)
    if np.isnan(values).any():
        raise ValueError(f"Input X contains NaN, first in {name}; impute or drop missing values")
    if np.isinf(values).any():
        raise ValueError(f"Input X contains infinity, first in {name}")
    raise ValueError(f"Input X holds values too large to square in float64, first in {name}; rescale it")


def vector(name: str, x: Any, n: int, *, finite: bool = True) -> Float:
    """(n,) float64 copy-free where possible; a column (n, 1) or a one-column frame counts as a vector."""
    _check_whole(name, x)
    try:
        out = np.asarray(x)
        if out.dtype.kind in "mM":
            raise TypeError
        out = np.ascontiguousarray(out, dtype=np.float64) if out.dtype.kind != "c" else out
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be numeric; got {_what(x)}") from None
    if out.dtype.kind == "c":
        raise ValueError(f"{name} must be real; got dtype {out.dtype}. Complex data not supported")
    if out.ndim == 2 and out.shape[1] == 1:
        out = out[:, 0]
    if out.ndim != 1:
        raise ValueError(f"{name} must be 1-D, ({n},); got shape {out.shape}")
    if len(out) != n:
        raise ValueError(f"{name} must have {n} entries; got {len(out)}")
    if finite and not np.isfinite(out).all():
        bad = "NaN" if np.isnan(out).any() else "infinity"
        raise ValueError(f"Input {name} contains {bad}, first at position {int(np.flatnonzero(~np.isfinite(out))[0])}")
    return np.ascontiguousarray(out)


def _check_whole(name: str, x: Any) -> None:
    """Neither sparse nor partly masked."""
    if sp.issparse(x):
        raise TypeError(f"{name} must be dense; got a sparse matrix of shape {x.shape}")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        count = np.ma.getmaskarray(x).sum()
        raise ValueError(f"{name} is a masked array with {count} masked entries; fill or drop them")


def labels(name: str, x: Any, n: int) -> NDArray[Any]:
    """(n,) labels, all of one type: booleans, integers, float64, text or bytes; none missing."""
    _check_whole(name, x)
    try:
        out = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} must be 1-D, ({n},): {error}") from None
    out = out[:, 0] if out.ndim == 2 and out.shape[1] == 1 else out
    if out.shape != (n,):
        raise ValueError(f"{name} must be ({n},) labels; got shape {out.shape}")
    if out.dtype.kind == "O":
        values = out.tolist()
        for i, value in enumerate(values):
            if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
                raise ValueError(f"Input {name} contains NaN, first at position {i}: a label is missing")
        types = {"bool" if isinstance(v, (bool, np.bool_)) else "number" if isinstance(v, (int, float, np.number))
                 else "str" if isinstance(v, str) else type(v).__name__ for v in values}
        if len(types) > 1:
            raise TypeError(f"{name} must hold labels of one type, numbers or text; got a mixture of "
                            f"{' and '.join(sorted(types))}")
        out = np.array(values) if types <= {"bool", "number", "str", "bytes"} else out
    out = out.astype(np.str_) if out.dtype.kind == "T" else out  # text of any width
    if out.dtype.kind not in "biufUS":
        raise TypeError(f"{name} must hold labels that are real numbers or text; got {_what(out)}")
    return vector(name, out, n) if out.dtype.kind == "f" else out


def squarable(name: str, x: Float) -> None:
    """Its squares do not overflow."""
    largest = float(np.abs(x).max(initial=0.0))
    if largest > 1e150:
        raise ValueError(f"{name} holds values too large to square in float64, up to {largest:g}; rescale it")


def _what(x: Any) -> str:
    dtype = getattr(x, "dtype", None)
    return f"dtype {dtype}" if dtype is not None else type(x).__name__


def weights(sample_weight: Any, n: int, counts: Float | None = None) -> Float:
    """(n,) non-negative weights that sum to 1, `counts` times as heavy."""
    if counts is not None:
        given = 1.0 if sample_weight is None else vector("sample_weight", sample_weight, n)
        return weights(counts * given, n)
    if sample_weight is None:
        return np.full(n, 1.0 / n)
    w = vector("sample_weight", sample_weight, n)
    if (w < 0).any():
        raise ValueError(f"sample_weight must not be negative; got {w.min():g} at position {int(w.argmin())}")
    if not w.any():
        raise ValueError("sample_weight must not be all zero")
    w = w / w.max()
    return np.asarray(w / w.sum())


def repeated(x: float, p: int) -> Float:
    """(p,) read-only: one number, seen p times."""
    return np.ndarray(p, np.float64, np.float64(x), strides=(0,))


def factors(penalty_factors: Any, p: int) -> Float:
    """(p,) factors in [0, ∞]."""
    if penalty_factors is None:
        return repeated(1.0, p)
    v = vector("penalty_factors", penalty_factors, p, finite=False)
    if np.isnan(v).any() or (v < 0).any():
        j = int(np.flatnonzero(~(v >= 0))[0])
        raise ValueError(f"penalty_factors must lie in [0, inf] (0: free, inf: excluded); got {v[j]} at position {j}")
    return v


def limits(bounds: Any, p: int) -> tuple[Float, Float]:
    """(p,) lower and upper bounds that enclose 0."""
    if bounds is None:
        return repeated(-np.inf, p), repeated(np.inf, p)
    try:
        lo, hi = bounds
    except (TypeError, ValueError):
        raise TypeError(f"bounds must be a pair (lower, upper) of scalars or ({p},) arrays; got {bounds!r}") from None
    pair = []
    for name, side in (("bounds[0]", lo), ("bounds[1]", hi)):
        try:
            side = np.asarray(side, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be numeric; got {side!r}") from None
        pair.append(repeated(float(side), p) if side.ndim == 0 else vector(name, side, p, finite=False))
    if np.isnan(pair[0]).any() or np.isnan(pair[1]).any():
        raise ValueError("bounds must not contain NaN; use -inf and inf where a side is open")
    outside = np.flatnonzero((pair[0] > 0) | (pair[1] < 0))
    if outside.size:
        j = int(outside[0])
        raise ValueError(f"bounds must enclose 0; got [{pair[0][j]:g}, {pair[1][j]:g}] for column {j}")
    return pair[0], pair[1]


def number(name: str, x: Any, lo: float, hi: float, *, open_lo: bool = False) -> float:
    """A real number in [lo, hi], or (lo, hi] with `open_lo`."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number; got {x!r}")
    if not (lo < x <= hi if open_lo else lo <= x <= hi):
        raise ValueError(f"{name} must lie in {'(' if open_lo else '['}{lo:g}, {hi:g}]; got {x}")
    return float(x)


def integer(name: str, x: Any, lo: int) -> int:
    """An integer of at least lo."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, np.integer)):
        raise TypeError(f"{name} must be an integer; got {x!r}")
    if x < lo:
        raise ValueError(f"{name} must be at least {lo}; got {x}")
    return int(x)


def strengths(alphas: Any) -> Float:
    """(k,) penalty strengths, descending and unique."""
    try:
        a = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    except (TypeError, ValueError):
        raise TypeError(f"alphas must be numbers; got {alphas!r}") from None
    if a.ndim != 1 or a.size == 0:
        raise ValueError(f"alphas must be a non-empty 1-D sequence; got shape {a.shape}")
    down = np.sort(a)[::-1]
    if not (down[-1] >= 0 and down[0] < np.inf):  # (NaN comes first)
        raise ValueError(f"alphas must be finite and not negative; got {next(x for x in a if not 0 <= x < np.inf)}")
    return np.asarray(down[np.concatenate([[True], down[1:] < down[:-1]])])


def threads(n_jobs: int | None) -> int:
    """Number of threads: −1 is all cores."""
    if n_jobs is None:
        return 1
    n_jobs = integer("n_jobs", n_jobs, -1)
    if n_jobs == 0:
        raise ValueError("n_jobs must be -1 or at least 1; got 0")
    return (os.cpu_count() or 1) if n_jobs == -1 else n_jobs


def blocks(n: int, size: int) -> Iterator[slice]:
    """Row slices of at most `size`."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
