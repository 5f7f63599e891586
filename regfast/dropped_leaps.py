"""Newton's step on many (column, class) pairs under dropout: by products with X alone, where no Hessian is made.

The Hessian is that of `dropped_classes`; on pairs whose sign is known, conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .rownorm import conjugate
from .rowwork import NOISE, Ids
from .validation import Float

if TYPE_CHECKING:
    from .dropped_classes import DroppedPairs

CROSSINGS = 5  # solves in which coefficients that would change their sign are put to 0
FORCING = 1e-2  # of the gradient: what conjugate gradients leave
HALVINGS = 30


def bent(work: DroppedPairs, on: Ids, held: Float, share: float) -> Callable[[Float], Float]:
    """(m + 1, C) -> its product with the Hessian of columns `on` and, last, of the intercepts.

    `held`: `springs` of these columns. Of the curvature that may be negative there is `share`.
    """
    p, kappa, b, C = work.loss.mean(work.eta), share * work.kappa, work.b[on], work.classes
    K, past = work.bend(slice(0, len(work.mass)), share), (work.problem.mean - work.shift)[on, None]

    def product(x: Float) -> Float:
        v, u = x[:-1], np.zeros_like(work.eta)
        work.lines.spread(on, np.ascontiguousarray(v), u)
        u += x[-1][:, None]
        pull = np.einsum("cdn,dn->cn", K, u)
        out = np.einsum("jcd,jd->jc", held, v)
        if share:
            lone = u - np.einsum("cn,cn->n", p, u)
            both = (b[:, :, None] * v[:, None]).reshape(-1, C * C)
            for rows, tile in work.columns.of(on):
                square, q, mass = tile**2, p[:, rows], kappa * work.mass[rows]
                Q = (square @ both).T.reshape(C, C, -1)  # Σ_j x_j² b_je v_jd
                right, left = np.einsum("edn,en->dn", Q, q), np.einsum("edn,dn->en", Q, q)
                own = np.einsum("ddn->dn", Q) - right
                pull[:, rows] += mass * q * (own - np.einsum("dn,dn->n", q, own) - left
                                             + np.einsum("en,en->n", q, left))
                near, a = mass * q, lone[:, rows]
                out += b * (square.T @ (near * a).T)
                mixed = (near[:, None] * q * (a[:, None] + a)).reshape(C * C, -1)
                out -= np.einsum("jcd,jd->jc", np.asarray(square.T @ mixed.T).reshape(-1, C, C), b)
        along = np.empty_like(out)
        work.lines.correlate(on, pull, along)
        total = pull.sum(axis=1)
        return np.vstack([out + along + past * total, total * work.problem.intercept])

    return product


def leap(work: DroppedPairs, alpha: float, held: Float, share: float) -> bool:
    """Newton's step on pairs of the working set that are not 0 or wish not to be; whether the objective fell."""
    problem, on = work.problem, work.ids
    b, c = work.b[on], np.ascontiguousarray(work.c[:, on].T)
    l1, l2, lo, hi = (x[on, None] for x in (alpha * problem.l1, alpha * problem.l2, problem.penalties.lo,
                                             problem.penalties.hi))
    sign = np.where(b != 0, np.sign(b), np.where(np.abs(c) > l1, np.sign(c), 0.0))
    g = c - l1 * sign - l2 * b
    moving = np.vstack([(sign != 0) & ((b < hi) | (g < 0)) & ((b > lo) | (g > 0)),
                        np.full((1, work.classes), problem.intercept)])
    g = np.vstack([g + (problem.mean - work.shift)[on, None] * work.left, work.left]) * moving
    hessian, ridge = bent(work, on, held, share), np.vstack([np.broadcast_to(l2, b.shape), np.zeros((1, work.classes))])
    steep = work.loss.stiffness(work.eta).diagonal()
    size = np.vstack([np.outer(problem.curvature[on], steep), steep]) + ridge
    size[:-1] += np.einsum("jcc->jc", held)

    def product(x: Float) -> Float:
        return np.asarray((hessian(x) + ridge * x) * moving)

    step = np.zeros_like(g)
    for _ in range(CROSSINGS):
        rest = (g - product(step)) * moving if step.any() else g
        step += conjugate(product, lambda x: x / size, rest, FORCING)[0]
        crossed = moving[:-1] & (sign * (b + step[:-1]) < 0)
        if not crossed.any():
            break
        moving[:-1] &= ~crossed
        step[:-1][crossed] = -b[crossed]
    b0, top = work.b0, work.objective(alpha) + NOISE * work.null
    for halving in range(HALVINGS):
        t = 0.5**halving
        new = np.clip(b + t * step[:-1], lo, hi)
        new[new * sign < 0] = 0
        work.b[on], work.b0 = new, b0 + t * step[-1]
        work.refresh()
        if work.objective(alpha) <= top:
            return bool(step.any())
    work.b[on], work.b0 = b, b0
    work.refresh()
    return False
