"""Columns of X as they are, not about their means: what works with entries and not with lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .validation import blocks

TILE = 2**22
"""Entries of dense X widened at a time."""

KEPT = 2**24
"""Entries of it that are kept so."""


class Tiles:
    """Some columns of X in float64, dense in blocks of rows or CSR whole; kept while the same are asked for."""

    def __init__(self, X: Any) -> None:
        self.X = X
        self.kept: list[tuple[slice, Any]] | None = None
        self.kept_for = np.array([-1])

    def of(self, used: NDArray[np.intp]) -> Iterator[tuple[slice, Any]]:
        """(rows, their entries in these columns); kept where they are not too many."""
        if not np.array_equal(self.kept_for, used):
            few = sp.issparse(self.X) or self.X.shape[0] * len(used) <= KEPT
            self.kept_for, self.kept = used, list(self.cut(used)) if few else None
        return iter(self.kept) if self.kept is not None else self.cut(used)

    def cut(self, used: NDArray[np.intp]) -> Iterator[tuple[slice, Any]]:
        """The same, out of X."""
        X = self.X
        if sp.issparse(X):
            yield slice(None), sp.csr_array(X[:, used]).astype(np.float64)
            return
        for rows in blocks(X.shape[0], max(1, TILE // max(len(used), 1))):
            yield rows, np.asarray(X[rows][:, used], dtype=np.float64)
