"""K-fold cross-validation of a path: a fold is a vector of weights over the one X."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import validation as check
from .errors import ADVICE, attach, warn_not_converged
from .families import Family
from .path import MAX_ITER, Progress, count_solves, prepare, reporter, solve
from .problem import Problem, build, linear_predictor
from .result import CVPath, Path
from .validation import Float

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
Scorer = Callable[[Float, Float, Float], float]


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
    tol: float = 1e-7,
    max_iter: int = MAX_ITER,
    early_stop: bool = True,
    n_jobs: int | None = 1,
    progress: Progress = False,
) -> CVPath:
    """A path and its K-fold cross-validation, with the α of least error and the one-standard-error α.

    Folds share X: each is a weight vector that is zero on the rows held out. The grid of α's is that of the full data;
    standardisation, means and null model are each training fold's own, so that nothing leaks.

    Parameters
    ----------
    X, y, family, alphas, n_alphas, eps, sample_weight, offset, fit_intercept, standardize, penalty_factors, bounds, \
tol, max_iter, early_stop
        As in `fit_path`. Sample weights count in fitting, in scoring and in the mean over folds.
    cv : int, splitter or iterable of (train, test) index arrays
        An int means shuffled K-fold (stratified for labels, grouped if `groups` are given) with `random_state`.
    groups : (n,) array, optional
        Rows of one group stay in one fold.
    scoring : None, str or callable
        None: the family's weighted mean deviance (squared error for "gaussian"), lower is better. Else a scikit-learn
        scorer (its name, or a callable scorer(estimator, X, y), a classifier's for labels), greater is better.
    l1_ratio : float or sequence of float
        Several are compared on the same folds; the best is kept.
    random_state : int
    n_jobs : int
        Threads over folds; −1: as many as there are cores. The result does not depend on it.
    progress : bool or callable
        A callable gets (paths done, paths in all).

    Returns
    -------
    CVPath

    Raises
    ------
    ValueError, TypeError
        An argument is not what it must be; the message names it.

    Warns
    -----
    ConvergenceWarning
        Once, if any solution of the full fit missed `tol`.
    UserWarning
        The best α is the smallest of the grid: the error may fall further beyond it.
    """
    tol, max_iter = check.number("tol", tol, 0, 1), check.integer("max_iter", max_iter, 1)
    if eps is not None:
        eps = check.number("eps", eps, 0, 1, open_lo=True)
    n_alphas = check.integer("n_alphas", n_alphas, 1)
    named = None if alphas is None else check.strengths(alphas)
    tried_ratios: Any = l1_ratio if np.ndim(l1_ratio) else [l1_ratio]
    ratios = [check.number("l1_ratio", r, 0, 1) for r in tried_ratios]
    if not ratios:
        raise ValueError("l1_ratio must be a number or a non-empty sequence of numbers; got an empty one")
    workers = check.threads(n_jobs)
    settings = Settings(tol, max_iter, bool(standardize), offset is not None,
                        (penalty_factors is not None, bounds is not None))
    problems = [prepare(X, y, family=family, l1_ratio=r, sample_weight=sample_weight, offset=offset,
                        fit_intercept=fit_intercept, standardize=standardize, penalty_factors=penalty_factors,
                        bounds=bounds, solves=count_solves(named, n_alphas)) for r in ratios[:1]]
    count = count_solves(named, n_alphas)
    problems += [rebuild(problems[0], problems[0].w, settings, count, ratio=r) for r in ratios[1:]]
    first, n = problems[0], problems[0].data.design.n
    folds = split(cv, n, first.y, groups, random_state, first.w, first.classes is not None)
    check_folds(folds, first)
    shift = np.zeros(n) if offset is None else check.vector("offset", offset, n)
    observed = first.y + shift if first.family.quadratic else first.y
    score = scorer(scoring, first, observed)
    best: tuple[float, int, Path, Float, Float, Float, Float] | None = None
    tried = []
    weight = np.array([problems[0].w[test].sum() for _, test in folds])
    with reporter(progress) as report:
        for k, problem in enumerate(problems):
            path = solve(problem, named, n_alphas=n_alphas, eps=eps, tol=tol, max_iter=max_iter,
                         early_stop=bool(early_stop), standardize=settings.standardize,
                         has_offset=settings.has_offset, keep=settings.keep)
            tell = None if report is None else (lambda i, k=k: report(k * len(folds) + i, len(problems) * len(folds)))
            try:
                paths = run_folds(problem, folds, path.alphas, settings, workers, tell)
            except KeyboardInterrupt as interrupt:
                attach(interrupt, path, instead=True)  # not a fold's: what the user asked for
                raise
            etas = [linear_predictor(problem.data.X[test], f.coefs, f.intercepts) for f, (_, test) in
                    zip(paths, folds, strict=True)]
            scores = np.array([[score(observed[test], eta[:, a] + shift[test], problem.w[test])
                                for a in range(len(path))] for eta, (_, test) in zip(etas, folds, strict=True)])
            mean, se = summary(scores, weight, scoring)
            loss = mean if scoring is None else -mean
            at = int(np.argmin(loss))
            tried.append(float(mean[at]))
            if best is None or loss[at] < best[0]:
                oof = np.full(n, np.nan)
                for eta, (_, test) in zip(etas, folds, strict=True):
                    oof[test] = first.family.inverse(eta[:, at] + shift[test])
                best = (float(loss[at]), at, path, scores, mean, se, oof)
    assert best is not None
    return conclude(*best[1:], scoring, np.array(ratios), np.array(tried), tol, named is None)


def summary(scores: Float, weight: Float, scoring: Any) -> tuple[Float, Float]:
    """Mean over the folds and its standard error; ∞ where a fold is predicted infinitely badly."""
    k = np.flatnonzero(np.isnan(scores).any(axis=1))
    if k.size:
        raise ValueError(f"scoring={scoring!r} is not defined on the rows held out in fold {k[0]}: got NaN; want "
                         "another scoring, or folds that are larger or hold both classes")
    with np.errstate(over="ignore"):  # what a log link predicts far away has no bounds
        mean = np.average(scores, axis=0, weights=weight)
        whole = np.isfinite(mean)
        if not whole.any():
            raise ValueError("cv: no alpha predicts the rows held out with a finite score")
        se = np.full_like(mean, np.inf)
        spread = np.average((scores[:, whole] - mean[whole]) ** 2, axis=0, weights=weight)
        se[whole] = np.sqrt(spread / (len(scores) - 1))
    return mean, se


def conclude(at: int, path: Path, scores: Float, mean: Float, se: Float, oof: Float, scoring: Any, ratios: Float,
             tried: Float, tol: float, automatic: bool) -> CVPath:
    """Apply the rules and say what the user should hear."""
    loss = mean if scoring is None else -mean
    within = np.flatnonzero(loss[:at + 1] <= loss[at] + se[at])
    warn_not_converged(path.alphas, path.gaps, list(path.status), path.gap_kind, tol)
    if at == len(path) - 1 and at > 0 and path.path_status == "complete":
        warnings.warn(f"the best alpha, {path.alphas[at]:.6g}, is the smallest of the grid: the error may fall "
                      f"further; {'lower eps' if automatic else 'name smaller alphas'}", UserWarning, stacklevel=3)
    return CVPath(path=path, alpha_min=float(path.alphas[at]), alpha_1se=float(path.alphas[within[0]]),
                  l1_ratio_best=path.l1_ratio, scores=scores, score_mean=mean, score_se=se,
                  scoring="deviance" if scoring is None else getattr(scoring, "__name__", str(scoring)),
                  oof_predictions=oof, l1_ratios=ratios, l1_scores=tried)


def rebuild(problem: Problem, w: Float, settings: Settings, count: int, ratio: float | None = None,
            stop: NDArray[np.int32] | None = None) -> Problem:
    """The same data under other weights, or another l1_ratio, for `count` solves; `stop`: see `build`."""
    penalties = problem.penalties if ratio is None else replace(problem.penalties, l1_ratio=ratio)
    return build(problem.data, problem.y, w, intercept=problem.intercept, standardize=settings.standardize,
                 penalties=penalties, family=problem.family, offset=problem.offset, classes=problem.classes,
                 n_alphas=count, stop=stop)


def run_folds(problem: Problem, folds: list[Fold], alphas: Float, settings: Settings, workers: int,
              tell: Callable[[int], Any] | None) -> list[Path]:
    """One path per fold, in threads that hold no GIL; Ctrl-C reaches them through a shared flag."""
    stop = np.zeros(1, dtype=np.int32)

    def one(train: NDArray[np.intp]) -> Path:
        w = np.zeros_like(problem.w)
        w[train] = problem.w[train]
        fold = rebuild(problem, w / w.sum(), settings, count_solves(alphas), stop=stop)
        path = solve(fold, alphas, tol=settings.tol, max_iter=settings.max_iter, standardize=settings.standardize,
                     has_offset=settings.has_offset, keep=(False, False), stop=stop)
        if len(path) < len(alphas):
            raise ValueError(f"cv: in the training rows of a fold, {ADVICE['separated']}")
        return path

    if workers == 1:
        out = []
        for k, (train, _) in enumerate(folds):
            out.append(one(train))
            if tell is not None:
                tell(k + 1)
        return out
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(one, train) for train, _ in folds]
        try:
            waiting, count = set(jobs), 0
            while waiting:
                done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_EXCEPTION)
                for job in done:
                    job.result()
                    count += 1
                    if tell is not None:
                        tell(count)
        except BaseException:
            stop[0] = 1
            for job in jobs:
                job.cancel()
            raise
    return [job.result() for job in jobs]


def split(cv: Any, n: int, y: Float, groups: Any, random_state: int, w: Float, labels: bool) -> list[Fold]:
    """(train, test) index pairs; `labels`: y holds two classes, which every fold of an int `cv` is to have."""
    if y.ndim > 1:
        raise ValueError("family='multinomial' is not in fit_cv yet: fit_path takes it, fold by fold")
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (n,):
            raise ValueError(f"groups must have shape ({n},); got {groups.shape}")
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        k = check.integer("cv", cv, 2)
        most = n if groups is None else len(np.unique(groups))
        if k > most:
            raise ValueError(f"cv={k} folds need at least as many {'rows' if groups is None else 'groups'}; got {most}")
        smallest = int(np.bincount(y.astype(int)).min()) if labels else n
        if k > smallest and groups is None:
            raise ValueError(f"cv={k} folds need at least as many rows of each class; the smaller one has {smallest}")
        kind: Any = (StratifiedKFold if labels else KFold) if groups is None \
            else StratifiedGroupKFold if labels else GroupKFold
        cv = kind(k, shuffle=True, random_state=random_state)
    if hasattr(cv, "split") and not isinstance(cv, (str, bytes)):
        pairs: Iterable[Any] = cv.split(np.empty((n, 0)), y, groups)
    elif isinstance(cv, Iterable) and not isinstance(cv, (str, bytes)):
        pairs = cv
    else:
        raise TypeError(f"cv must be an int, a splitter or an iterable of (train, test) pairs; got {cv!r}")
    try:
        folds = [(index("train", train, n), index("test", test, n)) for train, test in pairs]
    except TypeError as error:
        raise TypeError(f"cv must give (train, test) pairs of row numbers: {error}") from None
    if len(folds) < 2:
        raise ValueError(f"cv must give at least two folds; got {len(folds)}")
    for k, (train, test) in enumerate(folds):
        if not w[train].any() or not w[test].any():
            raise ValueError(f"fold {k} has no row of positive weight to {'test on' if w[train].any() else 'train on'}")
    return folds


def check_folds(folds: list[Fold], problem: Problem) -> None:
    """A response that no model can be fitted to may also be that of a training fold alone."""
    for k, (train, _) in enumerate(folds):
        w = problem.w * np.isin(np.arange(len(problem.w)), train)
        try:
            problem.family.check(problem.y, w / w.sum())
        except ValueError as error:
            raise ValueError(f"cv: in the training rows of fold {k}, {error}") from None


def index(name: str, x: Any, n: int) -> NDArray[np.intp]:
    """Row numbers of one side of a fold; a mask counts as the rows where it is true."""
    rows = np.asarray(x)
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows.size and not -n <= rows.min() <= rows.max() < n):
        raise ValueError(f"cv: {name} must be 1-D row numbers below {n}; got {rows.dtype} of shape {rows.shape}")
    return np.asarray(rows % n, dtype=np.intp)


def scorer(scoring: Any, problem: Problem, observed: Float) -> Scorer:
    """A function (y, linear predictor, weight) → score; one that cannot score `observed` says so before the work."""
    family, classes = problem.family, problem.classes
    if scoring is None:
        return family.deviance
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import check_scoring

    class Known(BaseEstimator):
        """Predictions that a scorer can ask for."""

        def __init__(self, eta: Float) -> None:
            self.eta = eta

        def fit(self, X: Any, y: Any) -> Known:
            return self

    class Regressor(RegressorMixin, Known):
        def predict(self, X: Any) -> Float:
            return family.inverse(self.eta)

    class Classifier(ClassifierMixin, Known):
        classes_ = classes

        def predict(self, X: Any) -> NDArray[Any]:
            return label(self.eta > 0)

        def predict_proba(self, X: Any) -> Float:
            return np.stack([family.inverse(-self.eta), family.inverse(self.eta)], axis=1)

        def decision_function(self, X: Any) -> Float:
            return self.eta

    def label(second: Any) -> NDArray[Any]:
        assert classes is not None
        return np.asarray(classes[np.asarray(second, dtype=int)])

    kind: Any = Regressor if classes is None else Classifier
    chosen = scoring if callable(scoring) else check_scoring(kind(np.zeros(0)), scoring)

    def score(y: Float, eta: Float, w: Float) -> float:
        extra = {} if np.ptp(w) == 0 else {"sample_weight": w}
        return float(chosen(kind(eta), np.empty((len(y), 1)), y if classes is None else label(y), **extra))

    level = float(problem.w @ observed)
    eta = np.full(len(observed), level if family.quadratic else np.log(level))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a constant prediction is the least of a score's worries
            score(observed, eta, problem.w)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"scoring={scoring!r} cannot score family={family.name!r}: {error}") from error
    return score
