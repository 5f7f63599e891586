"""The elastic net over blocks, in NumPy: its conjugate, its subdifferential, and what it adds to a duality gap.

A block is one coefficient, or with `group` a row b_j· of B, whose length takes the place of |b| (docs/objective.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .problem import Problem
from .validation import Float


@dataclass(frozen=True)
class Penalty:
    """α Σ [ l1·|b| + l2/2 b² ] within bounds, b a block of (p, C) coefficients; arrays (p, 1)."""

    l1: Float
    l2: Float
    lo: Float
    hi: Float
    group: bool

    def size(self, b: Float) -> Float:
        """|b| of every block, (p, C), or (p, 1) of rows."""
        return np.asarray(np.linalg.norm(b, axis=1, keepdims=True) if self.group else np.abs(b))

    def room(self, u: Float) -> Float:
        """How far a coefficient can go in the direction of u."""
        return np.asarray(np.where(u > 0, self.hi, -self.lo)) if not self.group else np.full((len(u), 1), np.inf)

    def limit(self, c: Float, strict: bool) -> float:
        """The largest s ≤ 1 at which s·c has a conjugate; with `strict` one that is 0 wherever l2 = 0."""
        room = self.room(c)
        held = (self.l2 == 0) & ((room > 0) if strict else np.isinf(room))
        size = self.size(c)
        return float(np.divide(self.l1, size, out=np.ones_like(size), where=held & (size > self.l1)).min(initial=1.0))

    def young(self, b: Float, u: Float) -> float:
        """Σ pen(b) + pen*(u) − b·u as a sum of terms that are not negative."""
        size, slope = self.size(b), self.size(u)
        excess, room = np.maximum(slope - self.l1, 0.0), self.room(u)
        held = (self.l2 == 0) & np.isinf(room)  # feasible: what is left is rounding
        excess = np.where(held, 0.0, excess)
        best = np.divide(excess, self.l2, out=np.full_like(size, np.inf), where=self.l2 > 0)
        best = np.where(held, size, np.minimum(best, room))
        inner = (b * u).sum(axis=1, keepdims=True) if self.group else b * u
        turned = size * slope - inner
        if self.group:  # ½ |b||u| times the squared chord between their directions, where the difference would cancel
            one = [np.divide(x, y, out=np.zeros_like(x), where=y > 0) for x, y in ((b, size), (u, slope))]
            turned = size * slope * ((one[0] - one[1]) ** 2).sum(axis=1, keepdims=True) / 2
        terms = (best - size) * (excess - self.l2 * (best + size) / 2) + size * (self.l1 + excess - slope) + turned
        return float(np.maximum(terms, 0.0).sum())

    def distance(self, b: Float, c: Float) -> Float:
        """How far c is from the subdifferential at b, (p, C) or (p, 1)."""
        g = c - self.l2 * b
        if self.group:
            size, slope = self.size(b), self.size(g)
            inside = np.maximum(slope - self.l1, 0.0)
            direction = np.divide(b, size, out=np.zeros_like(b), where=size > 0)
            return np.where(size > 0, self.size(g - self.l1 * direction), inside)
        least = np.where(b <= self.lo, -np.inf, np.where(b > 0, self.l1, -self.l1))
        most = np.where(b >= self.hi, np.inf, np.where(b < 0, -self.l1, self.l1))
        return np.maximum(np.maximum(least - g, g - most), 0.0)

    def pull(self, c: Float) -> Float:
        """(p,) how strongly c pulls any coefficient of a column to where it can go."""
        if self.group:
            return self.size(c)[:, 0]
        return np.asarray(np.where(self.room(c) > 0, np.abs(c), -np.abs(c)).max(axis=1, initial=-np.inf))


def penalty(problem: Problem, used: NDArray[np.intp], alpha: float) -> Penalty:
    """That of some columns of a problem."""
    l1, l2, lo, hi = (x[used, None] for x in (problem.l1, problem.l2, problem.penalties.lo, problem.penalties.hi))
    return Penalty(alpha * l1, alpha * l2, lo, hi, problem.penalties.grouped)


def dual_points(pen: Penalty, b: Float, c: Float) -> list[tuple[float, float]]:
    """s of the points s·r that are tried, with what the penalty adds to their gaps: two duals, inside bounds or not."""
    joined, away = replace(pen, l2=np.zeros_like(pen.l2)), c - pen.l2 * b
    energy = float((pen.l2 * b**2).sum()) / 2
    out = []
    for strict in (False, True):
        s = pen.limit(c, strict)
        out.append((s, pen.young(b, s * c)))
        s = joined.limit(away, strict)
        out.append((s, joined.young(b, s * away) + (1 - s) ** 2 * energy))
    return out
