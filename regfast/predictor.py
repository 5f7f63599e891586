"""Linear predictors of many models at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .validation import Float, blocks


def linear_predictor(X: Any, coef: Any, intercept: Any) -> Float:
    """X @ coef + intercept, dense, in row blocks: a sparse `coef` never meets a dense copy of X."""
    if not sp.issparse(coef) or sp.issparse(X):
        product = X @ coef
        eta: Float = np.asarray(product.toarray() if sp.issparse(product) else product) + intercept
        return eta
    by_row = coef.tocsr()
    used: Any = np.flatnonzero(np.diff(by_row.indptr))
    small = by_row[used].toarray()
    if 2 * len(used) > X.shape[1] and X.dtype == np.float64:  # to read the others costs less than to copy these
        used, small = slice(None), by_row.toarray()
    out = np.empty((coef.shape[1], X.shape[0]))
    for rows in blocks(X.shape[0], max(1, 2**22 // max(len(small), 1))):
        out[:, rows] = small.T @ X[rows][:, used].T  # (BLAS is slower the other way about, by a third)
    return np.asarray(out.T + intercept)
