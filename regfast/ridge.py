"""Ridge: every α, and every response, from one factorisation.

In standard form (A = P W^½ X D, see `standard_form`) the solution is β = (A'A + αI)⁻¹ A'y or, where X is wide,
β = A'c with c = (AA' + αI)⁻¹ y. What a candidate lacks is g = A'(y − Aβ) − αβ, or ρ = y − Aβ − αc; the duality gap at
the residual is then ‖g‖²/(2α), at θ = αc it is ½‖ρ‖² (docs/objective.md, dual B), and the same numbers correct it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from .errors import INTERRUPTED, MAX_ITER, OK, ROUNDING
from .factors import FEW, LIMIT, Factors, Krylov, Spectrum
from .problem import EPS, Null, Problem
from .standard_form import StandardForm, Stop
from .validation import Float

DIRECT = 2000
"""min(n, p) up to which a factorisation is the first choice where X is dense; a Krylov space beyond, mostly."""

STEPS = 3600
"""Rows of a Gram that cost what a hundred steps of a Krylov space do, which read X twice: BLAS is 18 times as fast."""

EIGEN = 27
"""Cholesky factors that eigenvalues and their vectors cost."""

LARGEST = 12000
"""min(n, p) up to which a factorisation is the last resort (its square takes 1.2 GB)."""

ROUGH = 1e-5
"""Share of the largest eigenvalue below which an α is corrected by its true residual, and measured there."""

EXACT = 1e-24
"""A gap, relative to ½‖y‖², that no correction can be seen in: predictions are off by 1e-12 at most."""

ACCURATE = 1e-20
"""The same for 1e-10: how far products alone are taken where nobody says how far."""

LOOSE = 1e-12
"""A gap, relative to ½‖y‖², above which it is worth two more reads of X to measure it better."""

MANY = 30
"""Strengths from which on it pays to look for the space that their solutions share."""

Way = Krylov | Factors | Spectrum


class Found(NamedTuple):
    beta: Float  # (p, k)
    gaps: Float  # (k,) duality gaps
    values: Float  # (k,) ½‖y − Aβ‖²
    steps: int  # of a Krylov space; 1 for a factorisation
    solver: str  # "cholesky", "svd" or "lanczos"


def applies(problem: Problem) -> bool:
    """Whether nothing but L2 penalises, and nothing bounds the coefficients."""
    penalties = problem.penalties
    return (problem.family.quadratic and penalties.l1_ratio == 0 and problem.ridge is None and not problem.loose.size
            and not np.isfinite(penalties.lo).any() and not np.isfinite(penalties.hi).any())


def solve(form: StandardForm, Y: Float, which: NDArray[np.intp], alphas: Float, aim: float = ACCURATE) -> Found:
    """β for pairs of a response and a strength.

    Parameters
    ----------
    form : StandardForm
    Y : (n, T) responses, projected and weighted (`StandardForm.response`)
    which : (k,) the response of each pair
    alphas : (k,) > 0
    aim : float
        Duality gap relative to ½‖y‖² that is good enough where products are all there is; factors go to `EXACT`.
    """
    side, alphas = side_of(form, Y), form.strengths(alphas)
    size = side.size[which]
    if not form.short:
        return Found(np.zeros((form.p, len(alphas))), np.zeros(len(alphas)), size, 1, "")
    few = len(np.unique(alphas)) <= FEW
    cheap = (1 if few else EIGEN) * form.short**3 / 3 <= form.entries * (STEPS - form.short)
    by_products = not cheap if sp.issparse(form.X) else form.short > DIRECT and not (few and cheap)
    if by_products:
        goal = float(np.sqrt(aim * size.min(initial=np.inf, where=size > 0)))
        found = improve(side, Krylov(form, goal), which, alphas, aim)
        if form.short > LARGEST or (found.gaps <= aim * size).all():
            return found
    way = Factors.of(form, alphas) if few else Spectrum.of(form, float(alphas.min()))
    return improve(side, way, which, alphas)


def improve(side: Primal | Dual, way: Way, which: NDArray[np.intp], alphas: Float,
            aim: float = EXACT) -> Found:
    """A first solution, and at most two corrections of those that rounding may have touched; alphas are A's."""
    size = side.size[which]
    every = np.arange(len(alphas))
    z = way.solve(side.f if side.f.shape[1] == 1 else side.f[:, which], alphas)
    beta, lack, gaps, values = side.lift(z), np.empty_like(z), np.empty(len(alphas)), np.empty(len(alphas))
    sound = alphas >= (ROUGH * (way.top + side.form.blur) if way.gram is not None else np.inf)
    for at, exact in ((every[sound], False), (every[~sound], True)):
        if at.size:
            lack[:, at], gaps[at], values[at] = side.lacking(way, z[:, at], beta[:, at], which[at], alphas[at], exact)
    for _ in range(2):
        at = every[~sound & (gaps > aim * size)]
        if not at.size:
            break
        step = way.solve(lack[:, at], alphas[at])
        new, far = z[:, at] + step, beta[:, at] + side.lift(step)
        lacks, gap, value = side.lacking(way, new, far, which[at], alphas[at], True)
        better = gap < gaps[at]
        at = at[better]
        z[:, at], beta[:, at], lack[:, at] = new[:, better], far[:, better], lacks[:, better]
        gaps[at], values[at] = gap[better], value[better]
    at = every[~sound & (gaps > LOOSE * size)]
    if at.size:
        gaps[at] = np.minimum(gaps[at], side.tighter(way, lack[:, at], alphas[at]))
    return Found(beta, gaps, values, way.steps, way.name)


class Primal:
    """The unknown is β itself, of f = A'y; it lacks g."""

    def __init__(self, form: StandardForm, Y: Float) -> None:
        self.form, self.Y, self.f, self.size = form, Y, form.adjoint(Y), 0.5 * (Y * Y).sum(0)

    def lift(self, z: Float) -> Float:
        return z

    def lacking(self, way: Way, z: Float, beta: Float, which: NDArray[np.intp], alphas: Float,
                exact: bool) -> tuple[Float, Float, Float]:
        """(g, gap, ½‖y − Aβ‖²), by X if `exact`, else by the Gram."""
        y = of(self.Y, which)
        if exact or way.gram is None:
            r = y - self.form.times(beta)
            c, value = self.form.adjoint(r), 0.5 * (r * r).sum(0)
        else:
            f = of(self.f, which)
            c = f - way.gram @ beta
            value = 0.5 * ((y * y).sum(0) - (beta * (f + c)).sum(0))
        g = way.seen(c - alphas * beta)
        return g, (g * g).sum(0) / (2 * alphas), value

    def tighter(self, way: Way, g: Float, alphas: Float) -> Float:
        """The gap at another dual point, θ = r − Aδ with δ = (S + αI)⁻¹ g: r's own rounding does not count there."""
        step = way.solve(g, alphas)
        moved = self.form.times(step)
        rest = way.seen(g - self.form.adjoint(moved))
        return np.asarray(0.5 * (moved * moved).sum(0) + (rest * rest).sum(0) / (2 * alphas))


class Dual:
    """The unknown is c, of f = y; β = A'c is carried along, so that corrections do not suffer from c's rounding.

    The c's of many strengths are smooth in log α: to working accuracy they lie in a space of a few dozen dimensions,
    and A' is applied to its basis instead.
    """

    def __init__(self, form: StandardForm, Y: Float) -> None:
        self.form, self.f, self.size = form, Y, 0.5 * (Y * Y).sum(0)

    def lift(self, z: Float) -> Float:
        size = np.sqrt((z * z).sum(axis=0))
        if z.shape[1] < MANY or not size.all():
            return self.form.adjoint(z)
        U, s, V = scipy.linalg.svd(z / size, full_matrices=False, check_finite=False)
        kept = s > 2 * EPS * s[0]  # (below are the roundings of z)
        if np.count_nonzero(kept) > z.shape[1] // 2:
            return self.form.adjoint(z)
        return np.asarray(self.form.adjoint(U[:, kept]) @ (s[kept, None] * V[kept] * size))

    def lacking(self, way: Way, z: Float, beta: Float, which: NDArray[np.intp], alphas: Float,
                exact: bool) -> tuple[Float, Float, Float]:
        """(ρ, gap, ½‖y − Aβ‖²), by X if `exact`, else by the Gram."""
        r = of(self.f, which) - (self.form.times(beta) if exact or way.gram is None else way.gram @ z)
        rho = way.seen(r - alphas * z)
        return rho, 0.5 * (rho * rho).sum(0), 0.5 * (r * r).sum(0)

    def tighter(self, way: Way, rho: Float, alphas: Float) -> Float:
        """Nothing to gain: ρ is not divided by α."""
        return np.full(len(alphas), np.inf)


def side_of(form: StandardForm, Y: Float) -> Primal | Dual:
    """The smaller system for responses Y (n, T)."""
    return Dual(form, Y) if form.wide else Primal(form, Y)


def of(F: Float, which: NDArray[np.intp]) -> Float:
    """The columns of (m, T) that belong to some pairs; one column where all share it."""
    return F if F.shape[1] == 1 else F[:, which]


def path(problem: Problem, alphas: Float, null: Null, tol: float, early_stop: bool,
         report: Callable[[int, float], Any] | None, stop: Stop = None) -> tuple[Any, ...]:
    """What `Fit.run` returns, of a problem that ridge `applies` to. Every α is solved before the first is reported."""
    form, response, k = StandardForm(problem, stop), problem.y[:, None], len(alphas)
    cut = False
    try:
        found = solve(form, form.response(response) * (null.value > 0), np.zeros(k, dtype=np.intp), alphas, 0.5 * tol)
    except KeyboardInterrupt:
        found, cut = Found(np.zeros((form.p, 0)), np.zeros(0), np.zeros(0), 1, ""), True
    coef, b0 = form.coefficients(found.beta, response)
    gaps = found.gaps / max(null.value, 1e-300)
    codes = np.where(gaps <= tol, OK, ROUNDING if found.steps < LIMIT else MAX_ITER)
    explained = 1 - found.values / null.total if null.total > 0 else np.zeros(len(codes))
    ends = (codes == OK) & ((explained > 0.999) | (np.diff(explained, prepend=0.0) < 1e-5 * explained))
    done = 5 + int(np.argmax(ends[4:])) if early_stop and ends[4:].any() else len(codes)
    for at in range(done if report is not None else 0):
        try:
            assert report is not None
            report(at, float(gaps[at]))
        except KeyboardInterrupt:
            done, cut = at + 1, True
            break
    codes = np.append(codes[:done], [INTERRUPTED] if cut else [])
    used = np.flatnonzero(coef.any(axis=1)).astype(np.int32)
    data = np.ascontiguousarray(coef[used, :done].T).ravel()
    starts = len(used) * np.arange(done + 1, dtype=np.int32)
    coefs = sp.csc_array((data, np.tile(used, done), starts), shape=(form.p, done))
    coefs.eliminate_zeros()
    return (coefs.data, coefs.indices, coefs.indptr, b0[:done], found.values[:done], gaps[:done],
            np.full(done, found.steps), np.full(done, form.reads), codes.astype(np.intp))
