"""Ways to solve (S + αI) z = f, S = L'L the Gram of L in standard form, for many α: factors, or one Krylov space.

Each has `solve(f, alphas)`: f (m, k), or (m, 1) for all of them, and alphas (k,) give z (m, k); and `top`, about the
largest eigenvalue of S. `gram` is S, or None where it was not made or does not say enough about L.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dgemm
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs, dsyevd, dtpqrt

from .problem import EPS
from .standard_form import StandardForm
from .validation import Float

FEW = 6
"""So many strengths cost less by a Cholesky factor each than by eigenvalues."""

FINE = 1e-11
"""The share of the largest eigenvalue below which others drown in the Gram's rounding: L itself is triangularised."""

LIMIT = 2000
"""Steps of a Krylov space, two reads of X each."""


class Spectrum:
    """S = V diag(d) V': one eigendecomposition, then O(m²) for each α. Directions of Q are left out."""

    name, steps = "svd", 1

    def __init__(self, vectors: Float, values: Float, gram: Float | None, null: Float | None = None) -> None:
        self.vectors, self.values, self.gram = vectors, np.maximum(values, 0.0), gram
        self.null = vectors[:, :0] if null is None else null  # where S is known to be 0
        self.top = float(self.values.max(initial=0.0))

    @classmethod
    def of(cls, form: StandardForm, least: float, gram: Float | None = None) -> Spectrum:
        """By the Gram where `least`, the smallest α, is above its rounding; else by singular values."""
        S = form.gram() if gram is None else gram
        lifted = np.array(S, order="F")
        if form.wide and form.Q.size:
            dgemm(2 * np.linalg.norm(S), form.Q, form.Q, trans_b=1, beta=1.0, c=lifted, overwrite_c=1)
        values, vectors, info = dsyevd(lifted, overwrite_a=1) if len(S) else (np.empty(0), S, 0)
        if info:
            raise np.linalg.LinAlgError(f"eigenvalues did not converge (dsyevd: {info})")
        kept = slice(None, len(values) - form.Q.shape[1] if form.wide else None)  # (Q was put on top)
        out = cls(vectors[:, kept], values[kept], S)
        if out.values.min(initial=np.inf) + least < FINE * (out.top + form.blur):
            return cls.fine(form)
        return out

    @classmethod
    def fine(cls, form: StandardForm) -> Spectrum:
        """By the singular values of L = QR: tile on tile under R, so that nothing is squared and no L is made."""
        R = np.zeros((form.short,) * 2, order="F")
        block = min(32, form.short)
        for _, tile in form.tiles():
            R, _, _, info = dtpqrt(0, block, R, np.asfortranarray(tile), overwrite_a=1, overwrite_b=1)
            assert info == 0
        R = np.triu(R)
        if form.wide:
            R = form.project(R.T.copy()).T
        _, values, rows = scipy.linalg.svd(R, overwrite_a=True, check_finite=False)
        kept = values > EPS * form.short * values.max(initial=0.0)
        return cls(np.asfortranarray(rows[kept].T), values[kept] ** 2, None, np.asfortranarray(rows[~kept].T))

    def solve(self, f: Float, alphas: Float) -> Float:
        z: Float = self.vectors @ ((self.vectors.T @ f) / (self.values[:, None] + alphas))
        return z

    def seen(self, f: Float) -> Float:
        """f (m, k) without the directions in which it can only be rounding."""
        return f - self.null @ (self.null.T @ f) if self.null.size else f


class Factors:
    """A Cholesky factor of S + αI for each of a few α."""

    name, steps = "cholesky", 1

    def __init__(self, S: Float, factors: dict[float, Float]) -> None:
        self.gram, self.factors = S, factors
        self.top = float(np.linalg.norm(S))  # (between the largest eigenvalue and √m times it)

    @classmethod
    def of(cls, form: StandardForm, alphas: Float) -> Factors | Spectrum:
        """Singular values where a factor fails, or rounding drowns what it says."""
        S = form.gram()
        found = {}
        for alpha in np.unique(alphas).tolist():
            shifted = np.array(S, order="F")
            shifted[np.diag_indices(len(S))] += alpha
            size = float(np.abs(shifted).sum(0).max(initial=0.0))
            factor, info = dpotrf(shifted, overwrite_a=1) if len(S) else (shifted, 0)
            known = 1.0 if info or not len(S) else dpocon(factor, size)[0]
            if info or known * size < FINE * (size + form.blur):
                return Spectrum.of(form, float(alpha), S)
            found[alpha] = factor
        return cls(S, found)

    def seen(self, f: Float) -> Float:
        return f

    def solve(self, f: Float, alphas: Float) -> Float:
        z = np.array(np.broadcast_to(f, (len(f), len(alphas))), order="F")
        for alpha, factor in self.factors.items():
            here = alphas == alpha
            if here.any() and len(f):
                z[:, here] = dpotrs(factor, z[:, here])[0]
        return z


class Krylov:
    """Products with L alone: the space of one right-hand side serves every α.

    Lanczos with full re-orthogonalisation; what is left for one α is a multiple of what is left for any other, so that
    a full basis is given up and the next space begins from there, for all of them (Simoncini, 2003).
    """

    name, gram = "lanczos", None

    def __init__(self, form: StandardForm, goal: float) -> None:
        self.form, self.goal = form, goal
        self.top = 0.0
        self.steps = 0

    def apply(self, v: Float) -> Float:
        form = self.form
        return (form.times(form.adjoint(v)) if form.wide else form.adjoint(form.times(v)))

    def seen(self, f: Float) -> Float:
        return f

    def solve(self, f: Float, alphas: Float) -> Float:
        if f.shape[1] == 1:
            return self.shared(f[:, 0], alphas)
        return np.column_stack([self.shared(f[:, j], alphas[j:j + 1]) for j in range(len(alphas))])

    def shared(self, f: Float, alphas: Float) -> Float:
        """z (m, k) for one f (m,): residuals of norm `goal`, or as far as `LIMIT` steps lead."""
        z, left = np.zeros((len(f), len(alphas))), np.full(len(alphas), float(np.linalg.norm(f)))
        goal = self.goal * (np.ones(len(alphas)) if self.form.wide else np.sqrt(alphas))
        u, budget = f[:, None], LIMIT
        while budget > 0 and (abs(left) > goal).any():
            size = np.linalg.norm(u)
            if size == 0:
                break
            z, left, u, used = self.cycle(u / size, z, left, alphas, goal, min(budget, self.room))
            budget -= used
            self.steps += used
        return z

    @property
    def room(self) -> int:
        """Vectors of a basis: no more memory than X takes, or 64 MB, and never more than there are directions."""
        form = self.form
        return max(1, min(LIMIT, form.short, max(20, max(form.entries, 2**23) // max(form.short, 1))))

    def cycle(self, u: Float, z: Float, left: Float, alphas: Float, goal: Float,
              most: int) -> tuple[Float, Float, Float, int]:
        """One basis. `left`: what is left for each α, in units of u, with its sign."""
        basis = np.empty((len(u), most), order="F")
        diagonal, beside, look = np.empty(most), np.empty(most), 4
        for k in range(most):
            basis[:, k] = u[:, 0]
            v = self.apply(u)
            diagonal[k] = float(u[:, 0] @ v[:, 0])
            v -= diagonal[k] * u
            if k:
                v -= beside[k - 1] * basis[:, k - 1:k]
            v -= basis[:, :k + 1] @ (basis[:, :k + 1].T @ v)
            beside[k] = float(np.linalg.norm(v))
            ended = beside[k] <= 4 * EPS * max(self.top, diagonal[k])
            if k == look or k == most - 1 or ended:
                look = k + 4 + k // 10
                theta, W = scipy.linalg.eigh_tridiagonal(diagonal[:k + 1], beside[:k])
                self.top = max(self.top, float(theta[-1]))
                inside = W @ (W[0][:, None] / (np.maximum(theta, 0)[:, None] + alphas)) * left
                after = -beside[k] * inside[-1]
                if ended or k == most - 1 or (abs(after) <= goal).all():
                    z += basis[:, :k + 1] @ inside
                    return z, np.zeros_like(left) if ended else after, v, k + 1
            u = v / beside[k]
        raise AssertionError("a basis has room for one vector at least")
