"""K-fold cross-validation of a path: a fold is a vector of weights over the one X."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import validation as check
from .cvpath import CVPath
from .errors import ADVICE, attach, warn_not_converged
from .families import Family
from .folds import Fold, check_folds, split
from .held import Held, hold_out
from .judging import grade, predict_held_out, summary
from .path import MAX_ITER, Progress, count_solves, prepare, reporter, solve
from .pieces import beyond, join
from .problem import Measured, Penalties, Problem, build
from .result import Path
from .rules import simplest
from .scoring import scorer
from .threads import side_by_side
from .validation import Float

LONGEST = 2
"""An automatic grid is extended until it is longer than this many times what was asked for."""


@dataclass(frozen=True)
class Settings:
    """What every fit of one cross-validation shares."""

    tol: float
    max_iter: int
    standardize: bool
    has_offset: bool
    keep: tuple[bool, bool]


def fit_cv(
    X: Any,
    y: Any,
    *,
    cv: Any = 10,
    groups: Any = None,
    scoring: Any = None,
    l1_ratio: float | Sequence[float] = 1.0,
    random_state: int = 0,
    family: str | Family = "gaussian",
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float | None = None,
    sample_weight: Any = None,
    offset: Any = None,
    fit_intercept: bool = True,
    standardize: bool = True,
    penalty_factors: Any = None,
    bounds: Any = None,
    group_classes: bool = False,
    dropout: float | Sequence[float] = 0.0,
    X_unlabeled: Any = None,
    unlabeled_weight: float = 1.0,
    tol: float = 1e-7,
    max_iter: int = MAX_ITER,
    early_stop: bool = True,
    criteria: bool = False,
    keep_folds: bool = False,
    n_jobs: int | None = 1,
    progress: Progress = False,
) -> CVPath:
    """A path and its K-fold cross-validation, with the α of least error and the one-standard-error α.

    Folds share X: each is a weight vector that is zero on the rows held out. The grid of α's is that of the full data;
    standardisation, means and null model are each training fold's own, so that nothing leaks.

    Parameters
    ----------
    X, y, family, alphas, n_alphas, eps, sample_weight, offset, fit_intercept, standardize, penalty_factors, bounds, \
group_classes, X_unlabeled, unlabeled_weight, tol, max_iter, early_stop
        As in `fit_path`. Sample weights count in fitting, in scoring and in the mean over folds.
    cv : int, splitter or iterable of (train, test) index arrays
        An int means shuffled K-fold (stratified for labels, grouped if `groups` are given) with `random_state`.
    groups : (n,) array, optional
        Rows of one group stay in one fold.
    scoring : None, str or callable
        None: the family's weighted mean deviance (squared error for "gaussian"), lower is better. Else a scikit-learn
        scorer (its name, or a callable scorer(estimator, X, y), a classifier's for labels, a regressor's with the
        shares of the classes for counts), greater is better.
    l1_ratio : float or sequence of float
        Several are compared on the same folds; the best is kept.
    dropout : float or sequence of float
        As in `fit_path`; several are compared, each with each l1_ratio and all its α's.
    random_state : int
    criteria : bool
        Keep what the rules "alo", "refitted …" and, for l1_ratio < 1, "aic", "bic" and "ebic" need of the data
        (`Path.criteria`), so that they can be asked of the result alone.
    keep_folds : bool
        Keep each fold's rows and path: coefficients, `selection_frequency`, `out_of_fold`.
    n_jobs : int
        Threads over folds; −1: as many as there are cores. The result does not depend on it.
    progress : bool or callable
        A callable gets (paths done, paths in all).

    Returns
    -------
    CVPath
        Its `path` is a `MultiPath` for "multinomial" and "multigaussian".

    Raises
    ------
    ValueError, TypeError
        An argument is not what it must be; the message names it.

    Warns
    -----
    ConvergenceWarning
        Once, if any solution of the full fit missed `tol`.
    UserWarning
        The best α was at the edge of the automatic grid, which was therefore extended; or it is the smallest of a grid
        whose α's or `eps` were named, and the error may fall further beyond it.
    """
    tol, max_iter = check.number("tol", tol, 0, 1), check.integer("max_iter", max_iter, 1)
    if eps is not None:
        eps = check.number("eps", eps, 0, 1, open_lo=True)
    n_alphas = check.integer("n_alphas", n_alphas, 1)
    named = None if alphas is None else check.strengths(alphas)
    ratios, rates = several("l1_ratio", l1_ratio), several("dropout", dropout)
    if criteria and any(rates):
        raise ValueError("criteria must be False with dropout: rules that go back to the data are not derived for it")
    workers = check.threads(n_jobs)
    settings = Settings(tol, max_iter, bool(standardize), offset is not None,
                        (penalty_factors is not None, bounds is not None))
    first = prepare(X, y, family=family, l1_ratio=ratios[0], sample_weight=sample_weight, offset=offset,
                    fit_intercept=fit_intercept, standardize=standardize, penalty_factors=penalty_factors,
                    bounds=bounds, group_classes=group_classes, dropout=max(rates), X_unlabeled=X_unlabeled,
                    unlabeled_weight=unlabeled_weight)
    folds = split(cv, first, groups, random_state)
    check_folds(folds, first)
    count, n = count_solves(named, n_alphas), first.data.design.n
    first, held = hold_out(first, folds, count, workers)
    pairs = [(ratio, rate) for rate in rates for ratio in ratios]
    problems = [first if pair == (ratios[0], max(rates)) else
                rebuild(first, first.w, settings, count, penalties=first.penalties.like(*pair), measured=first.measured)
                for pair in pairs]
    shift = np.zeros_like(first.y) if offset is None else first.family.shift(offset, n, len(first.y))
    observed = first.y + shift if first.family.link == "identity" else first.y
    score, shift = scorer(scoring, first, observed), shift.T
    best: tuple[float, Crossed, Float] | None = None
    tried = []
    weight = np.array([first.w[test].sum() for _, test in folds])
    grid = Grid(named, n_alphas, eps, bool(early_stop))
    with reporter(progress) as report:
        for k, problem in enumerate(problems):
            tell = None if report is None else (lambda i, k=k: report(k * len(folds) + i, len(problems) * len(folds)))

            def judge(paths: list[Path], problem: Problem = problem) -> tuple[Float, Float, Float]:
                scores = np.array([grade(fold, problem, test, shift[test], score, out if scoring is None else None)
                                   for fold, out, (_, test) in zip(paths, held, folds, strict=True)])
                return (scores, *summary(scores, weight, scoring))

            found = crossed(problem, folds, held, grid, settings, workers, tell, judge, 1 if scoring is None else -1)
            tried.append(float(found.mean[found.at]))
            loss = tried[-1] if scoring is None else -tried[-1]
            if best is None or loss < best[0]:
                best = (loss, found, predict_held_out(found.folds, folds, problem, shift, found.at))
    assert best is not None
    out = conclude(best[1], best[2], scoring, pairs, np.array(tried), tol, named is None, weight)
    if criteria:
        out = out.with_criteria(X, y, sample_weight=sample_weight, offset=offset)
    if keep_folds:
        rows = zip(folds, best[1].folds, strict=True)
        out = replace(out, folds=[(train, test, path) for (train, test), path in rows])
    return out


class Grid(NamedTuple):
    """The α's that the user asked for."""

    named: Float | None
    n_alphas: int
    eps: float | None
    early_stop: bool


class Crossed(NamedTuple):
    """A path and those of the folds, at one l1_ratio and dropout."""

    path: Path
    folds: list[Path]
    scores: Float
    mean: Float
    se: Float
    at: int
    edge: float | None  # the best α of the grid before it was extended


def crossed(problem: Problem, folds: list[Fold], held: list[Held | None], grid: Grid, settings: Settings, workers: int,
            tell: Callable[[int], Any] | None, judge: Callable[[list[Path]], tuple[Float, Float, Float]],
            sign: int) -> Crossed:
    """The path of all rows and those of the folds; an automatic grid goes on as long as its edge is best."""
    how: dict[str, Any] = {"tol": settings.tol, "max_iter": settings.max_iter, "standardize": settings.standardize,
                           "has_offset": settings.has_offset, "keep": settings.keep}
    path, edge = None, None
    automatic = grid.named is None and grid.eps is None
    try:
        path = solve(problem, grid.named, n_alphas=grid.n_alphas, eps=grid.eps,
                     early_stop=grid.early_stop and grid.named is None, **how)
        paths = run_folds(problem, folds, path.alphas, settings, workers, tell, held)
        while True:
            scores, mean, se = judge(paths)
            at = int(np.argmin(sign * mean))
            more = beyond(path, at) if automatic and len(path) <= LONGEST * grid.n_alphas else None
            if more is None:
                return Crossed(path, paths, scores, mean, se, at, edge)
            edge = float(path.alphas[at]) if edge is None else edge
            rest = solve(problem, more, early_stop=grid.early_stop, **how)
            parts = run_folds(problem, folds, rest.alphas, settings, workers, None, held)
            path, paths = join(path, rest), [join(*pair) for pair in zip(paths, parts, strict=True)]
    except KeyboardInterrupt as interrupt:
        attach(interrupt, path, instead=path is not None)  # not a fold's: what the user asked for
        raise


def several(name: str, x: Any) -> list[float]:
    """One number in [0, 1], or several of which the best is wanted."""
    out = [check.number(name, r, 0, 1) for r in (x if np.ndim(x) else [x])]
    if not out:
        raise ValueError(f"{name} must be a number or a non-empty sequence of numbers; got an empty one")
    return out


def best_of(values: list[float], tried: Float, scoring: Any) -> tuple[Float, Float]:
    """The values of a parameter, in their order, and the best score of each, whatever the other one."""
    kinds, better = list(dict.fromkeys(values)), np.min if scoring is None else np.max
    return np.array(kinds), np.array([better(tried[np.array(values) == kind]) for kind in kinds])


def conclude(found: Crossed, oof: Float, scoring: Any, pairs: list[tuple[float, float]], tried: Float, tol: float,
             automatic: bool, weight: Float) -> CVPath:
    """Apply the rules and say what the user should hear; `pairs`: (l1_ratio, dropout) of each score in `tried`."""
    path, at = found.path, found.at
    loss = found.mean if scoring is None else -found.mean
    warn_not_converged(path.alphas, path.gaps, list(path.status), path.gap_kind, tol)
    at_end = at == len(path) - 1 and at > 0 and path.path_status == "complete"
    if found.edge is not None:
        warnings.warn(f"the best alpha, {found.edge:.6g}, was at the edge of the automatic grid, which was extended: "
                      f"it runs from {path.alphas[0]:.6g} to {path.alphas[-1]:.6g} now; {path.alphas[at]:.6g} is best"
                      f"{', still at its edge' if at_end or at == 0 else ''}", UserWarning, stacklevel=3)
    elif at_end:
        warnings.warn(f"the best alpha, {path.alphas[at]:.6g}, is the smallest of the grid: the error may fall "
                      f"further; {'lower eps' if automatic else 'name smaller alphas'}", UserWarning, stacklevel=3)
    train = np.array([(1 - fold.deviance_ratio) * fold.null_deviance for fold in found.folds])
    (ratios, ratio_scores), (rates, rate_scores) = (best_of(list(x), tried, scoring) for x in zip(*pairs, strict=True))
    return CVPath(path=path, alpha_min=float(path.alphas[at]),
                  alpha_1se=float(path.alphas[simplest(loss, float(found.se[at]))]),
                  l1_ratio_best=path.l1_ratio, scores=found.scores, score_mean=found.mean, score_se=found.se,
                  scoring="deviance" if scoring is None else getattr(scoring, "__name__", str(scoring)),
                  oof_predictions=oof, l1_ratios=ratios, l1_scores=ratio_scores, dropouts=rates,
                  dropout_scores=rate_scores, train_mean=np.average(train, axis=0, weights=weight))


def rebuild(problem: Problem, w: Float, settings: Settings, count: int, penalties: Penalties | None = None,
            stop: NDArray[np.int32] | None = None, measured: Measured | None = None) -> Problem:
    """The same data under other weights, or other penalties, for `count` solves; `stop`, `measured`: see `build`."""
    return build(problem.data, problem.y, w, intercept=problem.intercept, standardize=settings.standardize,
                 penalties=penalties or problem.penalties, family=problem.family, offset=problem.offset,
                 classes=problem.classes, trials=problem.trials, n_alphas=count, stop=stop, measured=measured)


def run_folds(problem: Problem, folds: list[Fold], alphas: Float, settings: Settings, workers: int,
              tell: Callable[[int], Any] | None, held: list[Held | None]) -> list[Path]:
    """One path per fold, in threads that hold no GIL; Ctrl-C reaches them through a shared flag.

    `alphas` (k,), or (folds, k) where each fold has its own.
    """
    stop = np.zeros(1, dtype=np.int32)
    grids = alphas if alphas.ndim > 1 else [alphas] * len(folds)

    def one(train: NDArray[np.intp], out: Held | None, alphas: Float) -> Path:
        w = np.zeros_like(problem.w)
        w[train] = problem.w[train]
        measured = None if out is None else out.others()
        fold = rebuild(problem, w / w.sum(), settings, count_solves(alphas), stop=stop, measured=measured)
        path = solve(fold, alphas, tol=settings.tol, max_iter=settings.max_iter, standardize=settings.standardize,
                     has_offset=settings.has_offset, keep=(False, False), stop=stop)
        if len(path) < len(alphas):
            raise ValueError(f"cv: in the training rows of a fold, {ADVICE['separated']}")
        return path

    jobs = [partial(one, train, out, grid) for (train, _), out, grid in zip(folds, held, grids, strict=True)]
    return side_by_side(jobs, workers, stop, tell)
