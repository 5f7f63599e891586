"""Several linear predictors under one softmax: class after class, each a logistic regression with the others as offset.

For class c, with S_c = Σ_{d≠c} e^η_d, the loss is log(1 + e^{η_c − log S_c}) − y_c (η_c − log S_c) + what c leaves as
it is: the binomial loss at the offset −log S_c, on its own working set. Classes are taken in turn until the duality gap
of all of them together is small. Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1), section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy

from ._path import Fit
from .blas import single_threaded
from .errors import INTERRUPTED, NO_MEMORY, SEPARATED, STATUS, attach
from .multipath import MultiPath, joined
from .problem import EPS, RIDGE_GRID, Null, Problem, bare, binding, facts, grid, null_model
from .validation import Float

T = TypeVar("T")
FAR = 700.0  # e^±FAR is still a number
ROUNDS = 200  # rounds of intercepts alone
IDLE = 200  # rounds that may pass without getting nearer


class Solution(NamedTuple):
    """A path, whole or as far as it came."""

    coefs: list[sp.csc_array]  # C of (p, k)
    intercepts: Float  # (C, k)
    values: Float
    gaps: Float
    status: list[str]
    n_iter: NDArray[np.int64]
    n_passes: Float
    cut: BaseException | None


class Softmax:
    """C fits that share X, weights and penalty; `eta` (C, n) are their predictors as they stand."""

    def __init__(self, problem: Problem, stop: NDArray[np.int32] | None = None) -> None:
        self.problem, self.y, self.w = problem, problem.y, problem.w
        self.classes, n = self.y.shape
        self.shift = np.zeros_like(self.y) if problem.offset is None else problem.offset
        self.offsets = [np.zeros(n) for _ in range(self.classes)]
        self.fits = [replace(problem, y=y, offset=offset).fit(stop)
                     for y, offset in zip(self.y, self.offsets, strict=True)]
        self.eta = self.shift.copy()
        if problem.intercept:
            self.eta += np.log(self.y @ self.w)[:, None]
        self.saturated = -float(self.w @ xlogy(self.y, self.y).sum(axis=0))

    def each(self, act: Callable[[Fit], T]) -> list[T]:
        """act(fit) for every class in turn, with the others' predictors, as they then stand, in its offset."""
        top = self.eta.max(axis=0)
        parts = np.exp(np.maximum(self.eta - top, -FAR))
        later = np.zeros((self.classes + 1, len(top)))
        later[:-1] = np.cumsum(parts[::-1], axis=0)[::-1]
        sooner, out = np.zeros_like(top), []
        for c, fit in enumerate(self.fits):
            others = top + np.log(sooner + later[c + 1])
            np.subtract(self.shift[c], others, out=self.offsets[c])
            out.append(act(fit))
            self.eta[c] = fit.predictor() + others
            sooner += np.exp(np.clip(self.eta[c] - top, -FAR, FAR))
        return out

    def value(self) -> float:
        """Σ w ℓ, less its saturated value"""
        loss = logsumexp(self.eta, axis=0) - (self.y * self.eta).sum(axis=0)
        return max(float(self.w @ loss) - self.saturated, 0.0)

    def start(self) -> Null:
        """Fit the null model and read α_max off its correlations."""
        problem = self.problem
        for _ in range(ROUNDS):
            if problem.offset is None:
                break
            if max(self.each(lambda fit: fit.profile_again()), default=0.0) <= 1e-12:
                break
        total = self.value()
        before = self.eta.copy()
        for _ in range(ROUNDS):
            status = max(self.each(lambda fit: null_model(fit, 64 * EPS)[0]))
            if not problem.loose.size or np.abs(self.eta - before).max() <= 1e-9 * (1 + np.abs(self.eta).max()):
                break
            before = self.eta.copy()
        null = self.value()
        noise = (500 if problem.loose.size else 32) * EPS
        pulls = self.each(lambda fit: fit.largest_pull(problem.penalties.factors, problem.scale, noise))
        for fit in self.fits:
            fit.rescale(max(null, 1e-300))
            fit.begin()
        top = max(pulls) / max(problem.penalties.l1_ratio, RIDGE_GRID) * (1 + 4 * EPS)
        return Null(status, total, null if null > 64 * EPS else 0.0, top)

    def gap(self, alpha: float, null: float) -> float:
        """The relative duality gap of all classes together; the KKT residual where columns are free."""
        for _ in range(ROUNDS):  # every class's residual has to sum to zero at once
            if max(self.each(lambda fit: fit.profile_again())) <= 1e-13 * (1 + np.abs(self.eta).max()):
                break
        reaches = self.each(lambda fit: fit.reach(alpha))
        lost = sum(reach[2] for reach in reaches)
        if self.problem.loose.size:
            return max(reach[3] for reach in reaches)
        kinds = (0, 1) if self.problem.penalties.l1_ratio < 1 else (0,)
        gaps = [self.missing(alpha, min(reach[kind] for reach in reaches), bool(kind)) for kind in kinds]
        return (min(gaps) + lost) / null

    def missing(self, alpha: float, s: float, joined: bool) -> float:
        """P − D at the dual point s·(y − probabilities)."""
        logs = self.eta - logsumexp(self.eta, axis=0)
        m = (1 - s) * self.y + s * np.exp(logs)
        loss = float(self.w @ (xlogy(m, m) - m * logs).sum(axis=0)) if s < 1 else 0.0
        return max(loss, 0.0) + sum(fit.shortfall(alpha, s, joined) for fit in self.fits)

    def solve(self, alpha: float, tol: float, max_iter: int, null: float) -> tuple[str, float]:
        """Class after class until the certificate of all holds: (status, gap)."""
        goal, aim, best, idle = 1e-2 / self.classes, 0.5 * tol, np.inf, 0
        look = True
        used = sum(fit.n_iter for fit in self.fits)
        while True:
            left = max_iter - (sum(fit.n_iter for fit in self.fits) - used)
            if left <= 0:
                gap = self.gap(alpha, null)
                return ("converged" if gap <= tol else "max_iter"), gap
            at = max(goal, 0.1 * aim / self.classes)
            turn = partial(Fit.resume, alpha=alpha, tol=at, max_iter=left, look=look)
            lack = sum(lacks for _, lacks in self.each(turn))
            look = False
            goal = 0.1 * lack / self.classes
            idle = 0 if lack < 0.999 * best else idle + 1
            best = min(best, lack)
            if lack <= aim or idle > IDLE:  # what each class lacks, the others held; all together may lack more
                gap = self.gap(alpha, null)
                if gap <= tol or idle > IDLE:
                    return ("converged" if gap <= tol else "rounding"), gap
                aim, look = 0.03 * aim, True


def solve_path(model: Softmax, alphas: Float, null: float, total: float, *, tol: float, max_iter: int, early_stop: bool,
               tell: Callable[[int, float], Any] | None) -> Solution:
    """Every α, descending, from where the one before it ended."""
    problem, C = model.problem, model.classes
    found: list[list[sp.csc_array]] = [[] for _ in range(C)]
    intercepts, values, gaps, status, n_iter, passes = [], [], [], [], [], []
    cut: BaseException | None = None
    explained = 0.0
    with single_threaded():
        for k, alpha in enumerate(alphas):
            try:
                used = sum(fit.n_iter for fit in model.fits)
                word, gap = model.solve(float(alpha), tol, max_iter, null) if null > 0 else ("converged", 0.0)
                for c, fit in enumerate(model.fits):
                    found[c].append(sp.csc_array(fit.coef()[:, None]))
                b0 = np.array([fit.constant() for fit in model.fits])
                intercepts.append(b0 - b0.mean() if problem.intercept else np.zeros(C))
                values.append(model.value())
                gaps.append(gap)
                status.append(word)
                n_iter.append(sum(fit.n_iter for fit in model.fits) - used)
                passes.append(sum(fit.n_passes for fit in model.fits) + problem.data.design.gauge_reads)
                if tell is not None:
                    tell(k, gap)
            except (KeyboardInterrupt, MemoryError) as raised:
                cut = raised
                break
            before, explained = explained, 1 - values[-1] / total if total > 0 else 0.0
            if early_stop and k >= 4 and (explained > 0.999 or explained - before < 1e-5 * explained):
                break
    done = len(status)
    empty = sp.csc_array((problem.data.design.p, 0))
    coefs = [sp.csc_array(sp.hstack(part[:done], format="csc")) if done else empty for part in found]
    rows = (np.array(part[:done]) for part in (values, gaps, n_iter, passes))
    values_, gaps_, n_iter_, passes_ = rows
    return Solution(coefs, np.array(intercepts[:done]).reshape(done, C).T, values_, gaps_, status,
                    n_iter_.astype(np.int64), passes_, cut)


def solve_classes(problem: Problem, alphas: Float | None, *, n_alphas: int = 100, eps: float | None = None, tol: float,
                  max_iter: int, early_stop: bool = False, report: Callable[[int, int], Any] | None = None,
                  standardize: bool, has_offset: bool, keep: tuple[bool, bool] = (True, True),
                  stop: NDArray[np.int32] | None = None) -> MultiPath:
    """The path of a problem of several classes; does not warn."""
    model = Softmax(problem, stop)
    null = model.start()
    asked = grid(problem, null, n_alphas, eps) if alphas is None else alphas
    tell = None if report is None else lambda k, gap: report(k + 1, len(asked))
    positive = asked[asked > 0] if null.status != SEPARATED else asked[asked > 0][:1]
    found = solve_path(model, positive, null.value, null.total, tol=tol, max_iter=max_iter,
                       early_stop=early_stop and alphas is None and not binding(problem), tell=tell)
    if found.cut is None and len(positive) < len(asked) and null.status != SEPARATED:
        found = unpenalised(problem, found, tol)
    done = len(found.status)
    status = np.array(found.status if null.status != SEPARATED else ["separated"] * done, dtype=np.str_)
    cut = "" if found.cut is None else STATUS[INTERRUPTED if isinstance(found.cut, KeyboardInterrupt) else NO_MEMORY]
    path = MultiPath(
        coefs=found.coefs, intercepts=found.intercepts, n_nonzero=joined(found.coefs), gaps=found.gaps,
        gap_kind="kkt residual" if 0 in asked[:done] else problem.gap_kind, n_iter=found.n_iter,
        n_passes=found.n_passes, **facts(problem, null, asked, found.values, status, cut, tol=tol,
                                         standardize=standardize, has_offset=has_offset, keep=keep))
    if found.cut is not None:
        attach(found.cut, path)
        raise found.cut
    return path


def unpenalised(problem: Problem, so_far: Solution, tol: float) -> Solution:
    """α = 0 joins a path: the null model of the problem in which no column is penalised."""
    model = Softmax(bare(problem))
    null = model.start()
    gap = model.gap(1.0, max(null.total, 1e-300))
    word = STATUS[null.status] if gap <= tol or null.status == SEPARATED else "rounding"
    b0 = np.array([fit.constant() for fit in model.fits])
    coefs = [sp.csc_array(sp.hstack([part, sp.csc_array(fit.coef()[:, None])], format="csc"))
             for part, fit in zip(so_far.coefs, model.fits, strict=True)]
    more = (b0 - b0.mean() if problem.intercept else 0 * b0)[:, None]
    return Solution(coefs, np.hstack([so_far.intercepts, more]), np.append(so_far.values, model.value()),
                    np.append(so_far.gaps, gap), [*so_far.status, word], np.append(so_far.n_iter, 1),
                    np.append(so_far.n_passes, sum(fit.n_passes for fit in model.fits)), None)
