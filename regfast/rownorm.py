"""The penalty l1_j ‖b_j·‖₂ + ½ l2_j ‖b_j·‖² on the rows of b (m, C): its value, slope, gap, and a quadratic under it.

Yuan & Lin (2006), JRSS-B 68(1); Simon, Friedman & Hastie (2013), arXiv:1311.6529.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
from scipy.linalg.lapack import dpotri

from ._grouped import sweep
from .validation import Float

SWEEPS = 200  # over the working set, in one quadratic …
STEP = 1_000_000  # … or as many for one as cost, in multiply-adds, what one of Newton's steps does at least
ITERATIONS = 60  # of conjugate gradients
UNSETTLED = 5  # sweeps in which rows may come and go before a step is taken all the same
FLAT = 1e-12  # of a curvature: what is taken for none, where columns depend on each other
Linear = Callable[[Float], Float]


def rows(b: Float) -> Float:
    """(m,) ‖b_j·‖₂"""
    return np.asarray(np.sqrt(np.einsum("jc,jc->j", b, b)))


def angle(b: Float, z: Float) -> Float:
    """(m,) ‖b‖‖z‖ − b·z ≥ 0 for each row, without cancellation: half the square of a difference."""
    nb, nz = rows(b), rows(z)
    t = np.sqrt(np.divide(nz, nb, out=np.zeros_like(nb), where=nb > 0))
    apart = t[:, None] * b - np.divide(1, t, out=np.zeros_like(t), where=t > 0)[:, None] * z
    return np.asarray(0.5 * np.einsum("jc,jc->j", apart, apart))


def young(b: Float, z: Float, l1: Float, l2: Float) -> float:
    """Σ_j pen_j(b_j) + pen_j*(z_j) − b_j·z_j for z feasible but for its rounding (‖z_j‖ ≤ l1_j where l2_j is 0)"""
    nb, over = rows(b), rows(z) - l1
    lost = np.where(over > 0, 0.0, nb * -over + 0.5 * l2 * nb**2)
    up = (over > 0) & (l2 > 0)
    lost[up] = 0.5 * l2[up] * (nb[up] - over[up] / l2[up]) ** 2
    return float((lost + angle(b, z)).sum())


def newton(H: Float, b: Float, g: Float, l1: Float, l2: Float) -> Linear | None:
    """x -> [H ⊗ I + ∂²(l1 ‖b‖ + ½ l2 ‖b‖²)]⁻¹ x for rows b that are not 0; None where that is singular.

    A row's second derivative is (l1/‖b‖)(I − uu') + l2 I, u = b/‖b‖: with it rounded up to a multiple of I, the system
    falls apart into one for each response; Woodbury's formula takes off the multiples of uu' again. So it costs two
    factorisations as large as H, however many responses there are.
    """
    size = rows(b)
    u, a = b / size[:, None], l1 / size
    M = H.copy()
    M[np.diag_indices(len(b))] += a + l2
    try:
        whole = scipy.linalg.cho_factor(M, lower=True, overwrite_a=True, check_finite=False)
        inverse = dpotri(whole[0], lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        root = np.sqrt(a)
        core = inverse * (u @ u.T)
        core *= -root
        core *= root[:, None]
        core[np.diag_indices(len(b))] += 1 + FLAT
        small = scipy.linalg.cho_factor(core, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None

    def solve(x: Float) -> Float:
        v = scipy.linalg.cho_solve(whole, x, check_finite=False)
        q = scipy.linalg.cho_solve(small, root * np.einsum("jc,jc->j", u, v), check_finite=False)
        return np.asarray(v + inverse @ ((root * q)[:, None] * u))

    return solve


def conjugate(product: Linear, near: Linear, g: Float, tol: float) -> tuple[Float, int]:
    """x with product(x) = g, to a relative residual of `tol`, `near` an approximate inverse; and the iterations."""
    x, r = np.zeros_like(g), g.copy()
    p = z = near(r)
    rz = first = float((r * z).sum())
    for k in range(ITERATIONS):
        if not rz > tol * tol * first:
            return x, k
        h = product(p)
        bent = float((p * h).sum())
        if not bent > 0:
            return x, ITERATIONS
        x = x + rz / bent * p
        r = r - rz / bent * h
        z = near(r)
        rz, before = float((r * z).sum()), rz
        p = z + rz / before * p
    return x, ITERATIONS


def pulled(b: Float, c: Float, l1: Float, l2: Float) -> Float:
    """c − ∂pen(b) for rows b that are not 0: minus the gradient"""
    return np.asarray(c - (l1 / rows(b) + l2)[:, None] * b)


def without_turning(b: Float, d: Float) -> Float:
    """b + d; rows that would turn by more than a right angle stop at 0, unless they come from there"""
    new = b + d
    new[(np.einsum("jc,jc->j", b, new) <= 0) & b.any(axis=1)] = 0
    return new


def quadratic(H: Float, b: Float, c: Float, l1: Float, l2: Float, tol: float, noise: float) -> int:
    """b (m, C) to its minimum of ½ tr b'Hb − … + Σ pen_j(b_j) with c = X'r there, both in place; returns the sweeps.

    Sweeps find which rows are 0, Newton's steps on the others how large they are. `tol`: on h_j ‖Δb_j‖² of a sweep, of
    which the gap is of the order of the square root; `noise`: what the objective may seem to rise by in rounding.
    """
    on, since = np.flatnonzero(b.any(axis=1)), 0
    most = min(20, max(1, STEP // max(H.shape[0] * b.size, 1)))  # (where rounding is all that is left, few)
    for k in range(SWEEPS):
        if sweep(H, b, c, l1, l2, tol, most) <= tol:
            return k + 1
        on, earlier, since = np.flatnonzero(b.any(axis=1)), on, since + 1
        if not on.size or (since < UNSETTLED and not np.array_equal(on, earlier)):
            continue
        since = 0
        HA, old = H[np.ix_(on, on)], b[on]
        g = pulled(old, c[on], l1[on], l2[on])
        solve = newton(HA, old, g, l1[on], l2[on])
        if solve is None:
            continue
        step, before = solve(g), value(old, l1[on], l2[on])
        for length in lengths(old, step):
            move = without_turning(old, step * length) - old
            change = value(old + move, l1[on], l2[on]) - before - float((c[on] * move).sum()) \
                + 0.5 * float((move * (HA @ move)).sum())
            if change <= noise:
                b[on] += move
                b[on[~(old + move).any(axis=1)]] = 0
                c -= H[:, on] @ move
                break
    return SWEEPS


def lengths(b: Float, d: Float) -> Float:
    """Steps along d that are worth a try: the whole one, to where many, half, few or one of the rows b stop at 0, less.

    Where columns depend on each other a step may have no end: it only says which of them gives way.
    """
    away, size = np.einsum("jc,jc->j", b, d), np.einsum("jc,jc->j", b, b)
    ends = np.sort(np.divide(size, -away, out=np.full_like(size, np.inf), where=away < 0))
    ends = ends[ends < 1] * (1 + 4e-16)
    some = [len(ends) * k // 10 for k in (9, 5, 1, 0)] if ends.size else []
    first = float(ends[0]) if ends.size else 1.0
    return np.concatenate([[1.0], ends[some], first * np.array([0.5, 0.25, 0.125])])


def value(b: Float, l1: Float, l2: Float) -> float:
    """Σ_j pen_j(b_j)"""
    size = rows(b)
    return float(l1 @ size + 0.5 * l2 @ size**2)
