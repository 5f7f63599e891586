"""fit_path: build the problem, call the kernel once, wrap the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import families, ridge
from . import validation as check
from .blas import single_threaded
from .condense import condense
from .dropout import Dropped
from .dropped_classes import DroppedPairs
from .errors import INTERRUPTED, NO_MEMORY, SEPARATED, STATUS, WORDS, attach, warn_not_converged
from .grouped import Grouped
from .multinomial import Softmax
from .noise import noise
from .problem import Null, Penalties, Problem, binding, build, facts, grid, start
from .result import Path
from .ridges import Ridges
from .several import Predictors, solve_several
from .smooth import Smooth
from .unpenalised import unpenalised
from .validation import Float

Progress = bool | Callable[[int, int], Any]
MAX_ITER = 100_000


def prepare(X: Any, y: Any, *, family: Any = "gaussian", l1_ratio: float = 1.0, sample_weight: Any = None,
            offset: Any = None, fit_intercept: bool = True, standardize: bool = True, penalty_factors: Any = None,
            bounds: Any = None, group_classes: bool = False, dropout: float = 0.0, X_unlabeled: Any = None,
            unlabeled_weight: float = 1.0, solves: int = 0) -> Problem:
    """Validated arrays as a problem."""
    likelihood = families.get(family)
    data = check.as_data(X)
    n, p = data.design.n, data.design.p
    ratio = check.number("l1_ratio", l1_ratio, 0, 1)
    response = likelihood.response(y, n)
    w = check.weights(sample_weight, n, response.counts)
    target = response.y
    shift = None if offset is None else likelihood.shift(offset, n, len(target))
    if likelihood.link == "identity" and shift is not None:
        target, shift = target - shift, None
    likelihood.check(target, w)
    check.squarable("y" if offset is None else "y - offset", target)
    drop = noise(dropout, X_unlabeled, unlabeled_weight, data)
    if drop is not None and not likelihood.dropout:
        raise ValueError("dropout must be 0 but for 'gaussian', 'binomial', 'multinomial' and 'poisson', for which its "
                         f"penalty is known; got {drop.rate:g} for {likelihood.name!r}")
    if drop is not None and drop.unlabeled is not None and shift is not None:
        raise ValueError("X_unlabeled must be None with an offset but for 'gaussian': these rows have none")
    grouped = likelihood.grouped or bool(group_classes)
    if grouped and not likelihood.several:
        raise ValueError(f"group_classes needs a family of several predictors; got {likelihood.name!r}")
    if grouped and bounds is not None:
        raise ValueError("bounds must be None where the coefficients of a column enter together: their penalty is not "
                         "a sum over coefficients")
    if grouped and drop is not None:
        raise ValueError("dropout must be 0 where the coefficients of a column enter together; got "
                         f"{drop.rate:g} with group_classes=True")
    penalties = Penalties(ratio, check.factors(penalty_factors, p), *check.limits(bounds, p), grouped, drop)
    trials = None if response.counts is None else round(response.counts[w > 0].sum())
    return build(data, target, w, family=likelihood, offset=shift, classes=response.classes, trials=trials,
                 intercept=bool(fit_intercept), standardize=bool(standardize), penalties=penalties, n_alphas=solves)


def count_solves(alphas: Float | None, n_alphas: int = 0) -> int:
    """How many strengths the engine will solve for; 0 if one of them is 0, as least squares wants X itself."""
    if alphas is None:
        return n_alphas
    return len(alphas) if alphas[-1] > 0 else 0


def fit_path(
    X: Any,
    y: Any,
    *,
    family: str | families.Family = "gaussian",
    l1_ratio: float = 1.0,
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
    dropout: float = 0.0,
    X_unlabeled: Any = None,
    unlabeled_weight: float = 1.0,
    tol: float = 1e-7,
    max_iter: int = MAX_ITER,
    early_stop: bool = True,
    n_jobs: int | None = 1,
    progress: Progress = False,
) -> Path:
    """Elastic-net solutions along a path of penalty strengths, each with a certificate.

    Minimises, for every α,

        Σ_i w_i ℓ(y_i, o_i + b0 + x_i·b) / Σ_i w_i + α Σ_j v_j [ l1_ratio·s_j|b_j| + (1 − l1_ratio)/2·s_j² b_j² ]

    subject to lo_j ≤ b_j ≤ hi_j, with s_j the weighted standard deviation of column j (1 unless `standardize`) and ℓ
    the negative log-likelihood of the family; for "gaussian" half the squared error.

    Parameters
    ----------
    X : (n, p) array, sparse matrix or table
        float32 and float64, C and Fortran order, CSR and CSC are used as they are and never copied or written to.
    y : (n,) array
        For "binomial" labels of two classes, fractions in [0, 1], or (n, 2) failures and successes; counts for
        "poisson", positive for "gamma"; (n, C) for "multigaussian".
    family : {"gaussian", "binomial", "multinomial", "poisson", "gamma", "multigaussian"} or one of `regfast.families`
        Links: identity, logit, softmax, log, log, identity. `families.Tweedie(power)` is between Poisson and gamma.
    l1_ratio : float in [0, 1]
        1: lasso; 0: ridge.
    alphas : sequence of float, optional
        Strengths that the user names: each is solved. None: `n_alphas` from α_max down to `eps`·α_max.
    n_alphas : int
    eps : float, optional
        α_min / α_max; default 1e-2 where n < p, else 1e-4.
    sample_weight : (n,) array, optional
        As if rows were repeated.
    offset : (n,) array, optional
        Known part of the linear predictor.
    fit_intercept : bool
        The intercept is never penalised.
    standardize : bool
        Penalise per standard deviation; coefficients come back on the scale of the data all the same.
    penalty_factors : (p,) array, optional
        v_j, used as given: 0 leaves a column free, inf excludes it.
    bounds : (lo, hi), scalars or (p,) arrays, optional
        They must enclose 0.
    group_classes : bool
        For "multinomial": a feature has coefficients in all classes or in none, by the penalty ‖b_j·‖₂ in place of
        Σ_c |b_jc|. Always so for "multigaussian".
    dropout : float in [0, 1)
        Train as if each entry of X were dropped with this probability δ and the others divided by 1 − δ: the penalty
        that the loss then gets on average is added (docs/dropout.md). With κ = δ/(1 − δ), for "gaussian"
        ½ κ Σ_j (Σ_i w_i x_ij²/Σ_i w_i) b_j², and for "poisson" a closed form: both exact and convex. For "binomial"
        ½ κ Σ_i w_i μ_i (1 − μ_i) Σ_j x_ij² b_j² / Σ_i w_i, and for "multinomial" the same with the variance of b_j·
        under the row's probabilities for μ_i (1 − μ_i) b_j²: the second order of it, which is not convex. Solutions are
        stationary points, and `gap_kind` is "kkt residual". Not derived for other families, nor for `group_classes`.
        The intercept is never dropped, and x is as given, not about its mean.
    X_unlabeled : (m, p) table or matrix, optional
        Rows without a response, over which dropout's penalty is averaged as well.
    unlabeled_weight : float
        What such a row counts in that average; one of the n rows of X (of positive weight) counts 1 on average.
    tol : float
        On the relative duality gap (see `Path.gaps`).
    max_iter : int
        Epochs of coordinate descent per α.
    early_stop : bool
        An automatic grid may end where more than 99.9 % of the deviance is explained, or no more is gained.
    n_jobs : int
        One path runs on one thread; `fit_cv` runs its folds on `n_jobs`.
    progress : bool or callable
        True shows a bar; a callable gets (alphas done, alphas in all).

    Returns
    -------
    Path
        A `MultiPath`, with coefficients for each class or response, for "multinomial" and "multigaussian".

    Raises
    ------
    ValueError, TypeError
        An argument is not what it must be; the message names it.
    KeyboardInterrupt
        Within a second of Ctrl-C, with the path so far as its attribute `partial`.

    Warns
    -----
    ConvergenceWarning
        Once, naming every α that missed `tol`; its best iterate is returned with its true gap.

    Notes
    -----
    Exact solves on working sets with warm starts, each solution proved by a duality gap over all columns
    (docs/architecture.md); other likelihoods than squared error by Newton's steps, each of which is such a solve.

    Examples
    --------
    >>> import numpy as np, regfast
    >>> X = np.array([[0., 1.], [1., 0.], [2., 1.], [3., 0.]])
    >>> path = regfast.fit_path(X, [1., 3., 5., 7.], alphas=[0.5], standardize=False)
    >>> path.coefs.toarray().ravel().round(6)
    array([1.6, 0. ])
    """
    check.threads(n_jobs)
    tol = check.number("tol", tol, 0, 1)
    max_iter = check.integer("max_iter", max_iter, 1)
    if eps is not None:
        eps = check.number("eps", eps, 0, 1, open_lo=True)
    named = None if alphas is None else check.strengths(alphas)
    n_alphas = check.integer("n_alphas", n_alphas, 1)
    problem = prepare(X, y, family=family, l1_ratio=l1_ratio, sample_weight=sample_weight, offset=offset,
                      fit_intercept=fit_intercept, standardize=standardize, penalty_factors=penalty_factors,
                      bounds=bounds, group_classes=group_classes, dropout=dropout, X_unlabeled=X_unlabeled,
                      unlabeled_weight=unlabeled_weight, solves=count_solves(named, n_alphas))
    with reporter(progress) as report:
        try:
            path = solve(problem, named, n_alphas=n_alphas, eps=eps, tol=tol, max_iter=max_iter,
                         early_stop=bool(early_stop) and named is None, report=report, standardize=bool(standardize),
                         has_offset=offset is not None, keep=(penalty_factors is not None, bounds is not None))
        except KeyboardInterrupt as interrupt:
            attach(interrupt, None)
            raise
    warn_not_converged(path.alphas, path.gaps, path.status.tolist(), path.gap_kind, tol)
    return path


def solve(problem: Problem, alphas: Float | None, **how: Any) -> Path:
    """The path of a problem, whatever its predictors; `how`: see `solve_one`. Does not warn."""
    zero = alphas is not None and alphas[-1] == 0
    if problem.y.ndim == 1 and not problem.iterated and (zero or not Smooth.applies(problem)):
        return solve_one(problem, alphas, **how)
    return solve_several(predictors(problem, how.pop("stop", None)), alphas, **how)


def predictors(problem: Problem, stop: NDArray[np.int32] | None = None) -> Predictors:
    """What solves a problem of several predictors, or one that no single call of the engine solves."""
    if problem.iterated:
        return Dropped(problem, stop) if problem.y.ndim == 1 else DroppedPairs(problem, stop)
    special = (kind for kind in (Smooth, Ridges) if kind.applies(problem))
    kind: Any = next(special, Grouped if problem.penalties.grouped else Softmax)
    return cast(Predictors, kind(problem, stop))


def solve_one(problem: Problem, alphas: Float | None, *, n_alphas: int = 100, eps: float | None = None, tol: float,
              max_iter: int, early_stop: bool = False, report: Callable[[int, int], Any] | None = None,
              standardize: bool, has_offset: bool, keep: tuple[bool, bool] = (True, True),
              stop: NDArray[np.int32] | None = None) -> Path:
    """The path of a problem with one predictor."""
    wants_zero = alphas is not None and alphas[-1] == 0
    l2_alone = not wants_zero and ridge.applies(problem)
    small = problem if wants_zero or l2_alone else condense(problem)
    fit = small.fit(stop, by_kkt=wants_zero)
    null = start(problem, fit)
    asked = grid(problem, null, n_alphas, eps) if alphas is None else alphas
    positive = asked[asked > 0] if null.status != SEPARATED else asked[asked > 0][:1]
    tell = None if report is None else lambda k, gap: report(k + 1, len(asked))
    may_stop = early_stop and not binding(problem)
    with single_threaded():
        data, indices, indptr, b0, values, gaps, epochs, passes, codes = fit.run(
            positive, tol, max_iter, may_stop, null.total, tell
        ) if not l2_alone else ridge.path(problem, positive, null, tol, may_stop, tell, stop)
    status = WORDS[codes[:len(b0)] if null.status != SEPARATED else [SEPARATED] * len(b0)]
    cut = len(codes) > len(b0)
    coefs = sp.csc_array((data, indices, indptr.astype(np.int32)), shape=(problem.data.design.p, len(b0)))
    b0, passes = small.intercepts(b0, coefs), small.passes(passes, problem)
    if wants_zero and not cut:
        last = unpenalised(problem, fit)
        coefs = sp.csc_array(sp.hstack([coefs, sp.csc_array(last.coef[:, None])], format="csc"))
        b0, values, gaps = (np.append(x, z) for x, z in ((b0, last.intercept), (values, last.value), (gaps, last.kkt)))
        epochs, passes = np.append(epochs, last.n_iter), np.append(passes, fit.n_passes)
        status = np.append(status, last.status)
    error = fit.error
    del fit  # its p-vectors go before the path's come
    path = Path(
        coefs=coefs, intercepts=np.asarray(b0), n_nonzero=np.diff(coefs.indptr).astype(np.int64), gaps=np.asarray(gaps),
        gap_kind="kkt residual" if wants_zero else problem.gap_kind, n_iter=epochs.astype(np.int64), n_passes=passes,
        **facts(problem, null, asked, values, status, STATUS[codes[-1]] if cut else "", tol=tol,
                standardize=standardize, has_offset=has_offset, keep=keep))
    if cut:
        raise _cut_off(int(codes[-1]), error, path)
    return path


def _cut_off(code: int, error: BaseException | None, path: Path) -> BaseException:
    """The exception of a path that did not end by itself, carrying what was done."""
    out: BaseException = error or (MemoryError() if code == NO_MEMORY else KeyboardInterrupt())
    assert code in (INTERRUPTED, NO_MEMORY)
    attach(out, path)
    return out


def alpha_max(X: Any, y: Any, **same: Any) -> float:
    """The smallest α at which every penalised coefficient is zero.

    Parameters
    ----------
    X, y : as in `fit_path`
    **same
        `family`, `l1_ratio`, `sample_weight`, `offset`, `fit_intercept`, `standardize`, `penalty_factors`, `bounds`,
        `dropout`, `X_unlabeled`, `unlabeled_weight`, as in `fit_path`. Below l1_ratio = 1e-3 no finite α may do that;
        the value for 1e-3 is returned, where automatic grids begin.

    Returns
    -------
    float
        max_j |x_j·r| / (v_j s_j l1_ratio), r the null model's weighted residual; a bound at 0 closes its side.
    """
    return null_model(prepare(X, y, **same)).alpha_max


def null_model(problem: Problem) -> Null:
    """The model without penalised columns, and the smallest α that gives it."""
    if problem.y.ndim > 1 or problem.iterated:
        return predictors(problem).start()
    return start(problem, condense(problem).fit())


@contextmanager
def reporter(progress: Progress) -> Iterator[Callable[[int, int], Any] | None]:
    """A function of (done, total), or None; True draws a bar with rich."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield None
        return
    try:
        from rich.progress import Progress as Bar
    except ImportError:
        raise ImportError("progress=True draws with rich: pip install 'regfast[cli]', or give a callable") from None
    with Bar(transient=True) as bar:
        task = bar.add_task("path", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
