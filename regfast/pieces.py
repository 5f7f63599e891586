"""Paths cut and put together along α."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from .result import Path
from .validation import Float

ALONG = ("alphas", "intercepts", "deviance_ratio", "n_nonzero", "gaps", "n_iter", "n_passes", "status")
"""Fields of a path whose last axis is α, besides `coefs`."""


def _coefs(act: Callable[..., sp.csc_array], *paths: Path) -> Any:
    if isinstance(paths[0].coefs, list):
        return [act(*parts) for parts in zip(*(path.coefs for path in paths), strict=True)]
    return act(*(path.coefs for path in paths))


def only(path: Path, k: int) -> Path:
    """The solution at position k, as a path of one α."""
    kept: dict[str, Any] = {name: getattr(path, name)[..., [k]] for name in ALONG}
    return replace(path, coefs=_coefs(lambda part: sp.csc_array(part[:, [k]]), path), **kept)


def join(*parts: Path) -> Path:
    """Two paths of one problem, all α's of one above those of the other, which says how the path ended."""
    first, second = sorted(parts, key=lambda path: -path.alphas[0])
    both: dict[str, Any] = {}
    for name in ALONG:
        both[name] = np.concatenate([getattr(first, name), getattr(second, name)], axis=-1)
    both["n_passes"][len(first):] += first.n_passes[-1]
    coefs = _coefs(lambda *c: sp.csc_array(sp.hstack(c, format="csc")), first, second)
    return replace(second, coefs=coefs, **both)


def beyond(path: Path, at: int) -> Float | None:
    """The α's that continue a geometric grid whose best is at its edge, a quarter as many; None where none can help.

    Below the smallest, unless the path ended by itself; above the largest, where the model there is not the null model.
    """
    a, lowest = path.alphas, at == len(path) - 1
    if len(a) < 2 or path.path_status != "complete" or not (lowest or (at == 0 and path.n_nonzero[0])):
        return None
    steps = (a[-1] / a[0]) ** (np.arange(1, len(a) // 4 + 2) / (len(a) - 1))
    return np.asarray(a[-1] * steps if lowest else a[0] / steps[::-1])
