"""A softmax under dropout to second order, by Newton's steps on (column, class) pairs of all classes at once.

With p the probabilities of a row, β_j = Σ_c p_c b_jc and N_cd = Σ_j x_j² (b_jc − β_j)(b_jd − β_j), what dropout adds is

    R = ½ κ Σ_i m_i Σ_c p_c N_cc,

m_i what a row counts. Its slope along η_c is p_c s_c, s_c = ½ κ m (N_cc − Σ_d p_d N_dd), that along b_jc itself
κ Σ_i m x_j² p_c (b_jc − β_j). Wager, Wang & Liang (2013), Dropout training as adaptive regularization.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .averages import widened
from .dropped_leaps import leap
from .joint import inverse
from .pairs import CHUNK, HALVINGS, SHARE, Model, Pairs, Unfit
from .problem import EPS, Null, Problem, bare
from .rowwork import NOISE, Ids, Workspace
from .tiles import Tiles
from .validation import Float, blocks

FEW = 500  # pairs whose Hessian is made: products with X cost less for more
LOOSE = 1e-3  # the measure of strengths on the way to the one that is asked for
DOWN = 1e-6  # of the last strength: near to 0
SHARES = ((1.0, 1e-9), (0.75, 1e-9), (0.5, 1e-9), (0.25, 1e-9), (0.0, 1.0))
"""Of the curvature that may be negative: what is tried, and how much of its diagonal may be added to such a Hessian."""
FLAT = 1e-10  # of the largest: an eigenvalue that may be 0


def springs(square: Float, p: Float, mass: Float) -> Float:
    """(k, C, C) Σ_i m x_j² (diag p − pp') of columns with squares (k, n), or sparse"""
    C = len(p)
    both = (mass * p[:, None] * p).reshape(C * C, -1)
    out = -np.asarray(square @ both.T).reshape(-1, C, C)
    out[:, range(C), range(C)] -= out.sum(axis=2)
    return out


class Bent(Model):
    """Loss and dropout's penalty to second order, of the penalty's curvature along η as much as leaves that convex."""

    def _factor(self, work: Pairs, X: Float, ids: Ids, at: Ids) -> tuple[Float, Float]:
        assert isinstance(work, DroppedPairs)
        whole, flat = self._bends(work, X, ids, at, 1.0), None
        for share, most in SHARES:
            if share < 1:
                flat = self._bends(work, X, ids, at, 0.0) if flat is None else flat
            H, lean, own = whole if flat is None else (
                share * bent + (1 - share) * less for bent, less in zip(whole, flat, strict=True))
            values = np.linalg.eigvalsh(own)
            if share > 0 and values[0] < -FLAT * values[-1]:
                continue
            H = self._reduced(work, H.copy(), lean, own)
            try:
                return self._root(np.triu(H), most), np.diagonal(H).copy()
            except Unfit:
                pass
        raise Unfit

    def _bends(self, work: DroppedPairs, X: Float, ids: Ids, at: Ids, share: float) -> tuple[Float, Float, Float]:
        """H (m, m), what moving an intercept adds to the gradient (C, m), and the intercepts' curvature (C, C)."""
        mu, b, of = work.loss.mean(work.eta), work.b[ids], self.of
        (C, n), m = mu.shape, len(at)
        H, lean, own, held = np.zeros((m, m)), np.zeros((C, m)), np.zeros((C, C)), np.zeros((len(ids), C, C))
        edges = list(pairwise(np.searchsorted(of, np.arange(C + 1))))
        for rows in blocks(n, max(64, CHUNK // (m + C * len(ids) + C * C))):
            p, mass, K = mu[:, rows], work.kappa * work.mass[rows], work.bend(rows, share)
            own += K.sum(axis=2)
            square = (X[:, rows] + work.shift[ids, None]) ** 2
            held += springs(square, p, mass)
            U = share * mass * square[:, None] * p * (b[:, :, None] - (b @ p)[:, None])  # (k, C, rows)
            for c, (first, last) in enumerate(edges):
                E, pull = X[at[first:last], rows], U[at[first:last]]
                for d, (start, stop) in enumerate(edges):
                    turn, half = 0.5 * K[c, d] * E, -p[d] * pull[:, c] - p[c] * pull[:, d]
                    if c == d:
                        half += pull[:, c]
                    half += turn
                    H[first:last, start:stop] += half @ X[at[start:stop], rows].T
                    lean[d, first:last] += (half + turn).sum(axis=1)
        H += H.T
        place = np.full((len(ids), C), -1)
        place[at, of] = np.arange(m)
        for c, d in np.ndindex(C, C):
            both = (place[:, c] >= 0) & (place[:, d] >= 0)
            H[place[both, c], place[both, d]] += held[both, c, d]
        return H, lean, own


class DroppedPairs(Pairs):
    """All classes under dropout: a stationary point, followed from α_max down."""

    stride, patience, rounds = 0.6, 12, 200  # (the residual may rise while the objective falls)

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        noise = problem.penalties.noise
        assert noise is not None
        self.given, self.kappa = problem, noise.kappa
        data, self.mass = widened(problem)
        if more := len(self.mass) - len(problem.w):  # (rows without a response count in the penalty alone)
            share = np.full((len(problem.y), more), 1 / len(problem.y))
            problem = replace(problem, data=data._replace(names=problem.data.names), y=np.hstack([problem.y, share]),
                              w=np.concatenate([problem.w, np.zeros(more)]))
        super().__init__(problem, stop)
        self.columns, self.added, self.placed = Tiles(data.X), 0.0, False
        self.shift = np.zeros_like(problem.mean) if sp.issparse(data.X) else problem.mean  # what X is read less

    # ---- where things stand

    def settled(self) -> Float:
        """Intercepts move with the pairs; where there are none, those best for the loss, but if they are given."""
        return self.b0 if self.placed or self.support.size else super().settled()

    def residual(self) -> Float:
        on, C, mu = self.ids[self.support], self.classes, self.loss.mean(self.eta)
        self.N = np.zeros((C, C, len(self.mass)))
        both = (self.b[on, :, None] * self.b[on, None]).reshape(-1, C * C)
        for rows, tile in self.columns.of(on):
            self.N[:, :, rows] = (tile**2 @ both).T.reshape(C, C, -1)
        mean = np.einsum("cdn,dn->cn", self.N, mu)
        self.N += np.einsum("cn,cn->n", mu, mean) - mean[:, None] - mean
        spread = np.maximum(np.einsum("ccn->cn", self.N), 0.0)
        even = np.einsum("cn,cn->n", mu, spread)
        self.added = 0.5 * self.kappa * float(self.mass @ even)
        self.tilt = 0.5 * self.kappa * self.mass * (spread - even)
        return np.asarray(self.loss.residual(self.eta) - mu * self.tilt)

    def bend(self, rows: slice, share: float) -> Float:
        """(C, C, rows) second derivative along η of the loss and `share` of the penalty"""
        p, s, w = self.loss.mean(self.eta)[:, rows], share * self.tilt[:, rows], self.problem.w[rows]
        K = -p[:, None] * p * (w + s[:, None] + s + share * self.kappa * self.mass[rows] * self.N[:, :, rows])
        K[range(len(p)), range(len(p))] += p * (w + s)
        return np.asarray(K)

    def look(self) -> None:
        super().look()
        self._hold()

    def look_at_all(self) -> None:
        super().look_at_all()
        self._hold()

    def _hold(self) -> None:
        """What the penalty takes off correlations of columns that are not 0, whatever it does along η."""
        on = self.ids[self.support]
        held = self._springs(on)
        self.c[:, on] -= np.einsum("jcd,jd->cj", held, self.b[on])
        self.norms[on] = self.pull(on, np.ascontiguousarray(self.c[:, on].T))

    def _springs(self, on: Ids) -> Float:
        """κ `springs` of some columns."""
        held, mu = np.zeros((len(on), self.classes, self.classes)), self.loss.mean(self.eta)
        for rows, tile in self.columns.of(on):
            held += springs((tile**2).T, mu[:, rows], self.kappa * self.mass[rows])
        return held

    @property
    def value_at(self) -> float:
        """The loss and dropout's penalty."""
        return self.loss.value(self.eta) + self.added

    def objective(self, alpha: float) -> float:
        return super().objective(alpha) + self.added

    def gap(self, alpha: float, ids: Ids | slice = slice(None)) -> float:
        """The KKT residual over some columns, as a correlation; that of the intercepts is part of it."""
        if isinstance(ids, slice):
            ids = np.flatnonzero(np.isfinite(self.problem.l1))
        off = self._penalty(ids, alpha).distance(self.b[ids], self.c[:, ids].T)
        worst = (off / np.sqrt(self.problem.curvature[ids])[:, None]).max(initial=0.0) + self.lost
        return float(worst / np.sqrt(2 * self.null))

    # ---- steps

    def sharpness(self, lack: float) -> float:
        return (SHARE * lack) ** 2 * self.null

    def descend(self, alpha: float, aim: float, most: int) -> None:
        try:
            super().descend(alpha, aim, most)
        except Unfit:
            self._wander(alpha, aim, most)

    def _wander(self, alpha: float, aim: float, most: int) -> None:
        """The same by steps without a Hessian, which are more and cost less."""
        for _ in self.nearing(alpha, aim, most):
            held = self._springs(self.ids)
            if not any(leap(self, alpha, held, share) for share in (1.0, 0.0)):
                return
            self.n_iter += 1

    def fits(self, m: int) -> bool:
        return m <= FEW and super().fits(m)

    def modelled(self, on: NDArray[np.bool_]) -> Model:
        return Bent(self, on)

    def target(self, model: Model, old: Float, alpha: float, gap: float) -> tuple[Float, Float]:
        g, drift = self.c[model.of, model.at], np.zeros(self.classes)
        if model.settle is None:
            return model.minimum(old, g, alpha, gap), drift
        g = g + (self.problem.mean - self.shift)[model.at] * self.left[model.of]  # (c is about the means)
        new = model.minimum(old, g - self.left @ model.settle, alpha, gap)
        return new, model.loosen @ self.left + model.settle @ (old - new)

    def centre(self) -> None:
        """The intercepts to their best, by Newton's steps."""
        for _ in range(HALVINGS if self.problem.intercept else 0):
            before, b0, top = self.lost, self.b0, self.value_at + NOISE * self.null
            if before <= 4 * EPS:
                return
            everything = slice(0, len(self.mass))
            bends = (self.bend(everything, share).sum(axis=2) for share in (1.0, 0.0))
            own = next((K for K in bends if np.linalg.eigvalsh(K)[0] >= -FLAT * np.abs(K).max()), None)
            assert own is not None
            step = inverse(own) @ self.left
            for halving in range(HALVINGS):
                self.b0 = b0 + 0.5**halving * step
                self.refresh()
                if self.value_at <= top:
                    break
            if self.lost > 0.5 * before:
                return

    # ---- one α after the other

    def start(self) -> Null:
        null = super().start()
        self.last = null.alpha_max
        return null

    def solve(self, alpha: float, tol: float, max_iter: int) -> tuple[str, float]:
        """Move to the stationary point at α that the one at the last α leads to: (status, KKT residual)."""
        while alpha < self.stride * self.last < np.inf:
            Workspace.solve(self, self.stride * self.last, max(tol, LOOSE), max_iter)
        status, lack = Workspace.solve(self, alpha, tol, max_iter)
        return "not_convex" if status == "rounding" else status, lack

    def place(self, b: Float, b0: Float) -> None:
        """Stand at coefficients (p, C) and intercepts (C,) on the scale of the data, whatever these are."""
        self.b[:], self.placed = 0, True
        self.b0 = b0 + self.shift @ b
        self.warm(b)

    def lacks(self, alpha: float) -> tuple[float, float]:
        """(no duality gap, KKT residual) where it stands"""
        self.look_at_all()
        return np.inf, self.gap(alpha)

    def foresee(self, alphas: Float) -> None:
        """One α is solved from the one before it."""

    def unpenalised(self, tol: float) -> tuple[str, float]:
        """Move to α = 0: (status, KKT residual)."""
        self.solve(DOWN * self.last, max(tol, LOOSE), 10**6)
        model = DroppedPairs(bare(self.given), self.stop)
        model.null, model.b0 = self.null, self.b0
        model.warm(self.b)
        status, lack = model.solve(1.0, tol, 10**6)
        self.b, self.b0, self.eta, self.n_iter = model.b, model.b0, model.eta, self.n_iter + model.n_iter
        self.passes += model.n_passes
        return status, lack
