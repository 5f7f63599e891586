"""Dropout as a penalty: what noise in X adds to the expected loss, as far as it can be said without a coefficient.

Entries are dropped with probability δ and the others divided by 1 − δ, so that x̃ has mean x and variance κ x²,
κ = δ/(1 − δ). The expected loss is the loss plus a penalty that does not see the response; rows without one can
sharpen it. Wager, Wang & Liang (2013), Dropout training as adaptive regularization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import validation as check
from ._moments import moments
from .validation import Data, Float


@dataclass(frozen=True)
class Noise:
    """Dropout with probability `rate`; `weight`: what a row without a response counts beside one with."""

    rate: float
    unlabeled: Data | None = None
    weight: float = 1.0
    square: Float | None = None  # (p,) mean of x² over the rows without a response

    @property
    def kappa(self) -> float:
        """The variance of x̃, in units of x²."""
        return self.rate / (1 - self.rate)

    def share(self, n: int) -> float:
        """Which part of the penalty the rows without a response make, beside n with one."""
        m = 0.0 if self.unlabeled is None else self.weight * self.unlabeled.design.n
        return m / (n + m)

    def ridge(self, square: Float, n: int) -> Float:
        """(p,) d_j of the penalty ½ Σ d_j b_j² that squared error gets; `square`: Σ w x² over its n rows."""
        share = self.share(n)
        if self.square is None or share == 0:
            return self.kappa * square
        return np.asarray(self.kappa * ((1 - share) * square + share * self.square))


def second_moments(data: Data, w: Float) -> Float:
    """(p,) Σ w x², weights of any sum, in a pass over X as it is stored."""
    p, total = data.design.p, float(w.sum())
    mean, var, mark = np.empty(p), np.empty(p), np.empty(p)
    if total == 0:
        return np.zeros(p)
    moments(data.design, w / total, w, mean, var, mark)
    return np.asarray(total * (var + mean * mean))


def noise(dropout: Any, X_unlabeled: Any, unlabeled_weight: Any, X: Data) -> Noise | None:
    """What the user asked for, checked; None where nothing is dropped.

    Raises
    ------
    ValueError
        `dropout` is not in [0, 1), `unlabeled_weight` is negative, or X_unlabeled does not fit to X.
    """
    rate = check.number("dropout", dropout, 0, 1)
    weight = check.number("unlabeled_weight", unlabeled_weight, 0, np.inf)
    if rate == 1 or weight == np.inf:
        raise ValueError(f"dropout must be below 1 and unlabeled_weight finite; got {rate:g} and {weight:g}")
    if X_unlabeled is None:
        return Noise(rate) if rate > 0 else None
    try:
        data = check.as_data(X_unlabeled)
        n = data.design.n
        square = second_moments(data, np.full(n, 1 / n))
        check.check_finite(data, square, square)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X_unlabeled: {error}") from None
    if data.design.p != X.design.p:
        raise ValueError(f"X_unlabeled must have the {X.design.p} columns of X; got {data.design.p}")
    if data.names is not None and X.names is not None and list(data.names) != list(X.names):
        raise ValueError("X_unlabeled must have the column names of X, in their order")
    return Noise(rate, data, weight, square) if rate > 0 else None
