"""What a procedure that chooses its penalty is worth on rows it has not seen, and which penalty is worth more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .cv import fit_cv
from .families import Family
from .folds import Fold, check_folds, split
from .judging import summary
from .path import prepare
from .problem import Problem
from .rules import Rule, parse
from .scoring import scorer
from .validation import Float


@dataclass(frozen=True, eq=False, repr=False)
class NestedScore:
    """The score of a whole procedure.

    Attributes
    ----------
    mean, se : float
        Mean over the outer folds (by their weight of held-out rows) and its standard error, as in `CVPath`.
    scores : (n_folds,) float64
    scoring : str
        "deviance" (lower is better) or the scorer's name (greater is better).
    alphas, l1_ratios : (n_folds,) float64
        What the inner cross-validation of each fold chose.
    n_nonzero : (n_folds,) int64
        Features of its model.
    predictions : (n,) or (n, C) float64
        Of each row by a procedure that has not seen it; NaN where no fold held it out.
    weight : (n_folds,) float64
        Share of the weight of all rows that each fold held out.
    """

    mean: float
    se: float
    scores: Float
    scoring: str
    alphas: Float
    l1_ratios: Float
    n_nonzero: Any
    predictions: Float
    weight: Float

    def __repr__(self) -> str:
        return (f"NestedScore({self.scoring} {self.mean:.6g} ± {self.se:.3g} over {len(self.scores)} folds, "
                f"{self.n_nonzero.min()} to {self.n_nonzero.max()} features)")


def score_nested(X: Any, y: Any, *, cv: Any = 5, inner: Any = 5, rule: Rule = "min", groups: Any = None,
                 scoring: Any = None, l1_ratio: float | Sequence[float] = 1.0, random_state: int = 0,
                 family: str | Family = "gaussian", sample_weight: Any = None, offset: Any = None,
                 **same: Any) -> NestedScore:
    """Nested cross-validation: an honest figure for "fit_cv, then `rule`", with its standard error.

    The least error of a cross-validation is too low an estimate, since α (and l1_ratio) were chosen by it. Here each
    outer fold runs the whole choice, inner cross-validation included, on its training rows alone, and scores what was
    chosen on the rows held out (Varma & Simon, 2006). No rows are copied: a fold is a vector of weights.

    Parameters
    ----------
    X, y, family, l1_ratio, groups, scoring, random_state, sample_weight, offset, **same
        As in `fit_cv`; `scoring` is that of both levels.
    cv : int, splitter or iterable of (train, test)
        The outer folds.
    inner : int or splitter
        The inner folds, made among the training rows of each outer one, with `groups` kept together.
    rule : str, int or tuple
        As in `CVPath.alpha`; a number of features is met exactly.

    Returns
    -------
    NestedScore

    Raises
    ------
    ValueError, TypeError
        As `fit_cv`.

    Warns
    -----
    As `fit_cv`, for each outer fold.

    References
    ----------
    Varma & Simon (2006), BMC Bioinformatics 7:91.
    """
    parse(rule)
    structure = {key: same[key] for key in ("fit_intercept", "standardize", "penalty_factors", "bounds",
                                            "group_classes") if key in same}
    problem = prepare(X, y, family=family, sample_weight=sample_weight, offset=offset, **structure)
    shift = np.zeros_like(problem.y) if offset is None else problem.family.shift(offset, len(problem.w), len(problem.y))
    observed = problem.y + shift if problem.family.link == "identity" else problem.y
    score, shift = scorer(scoring, problem, observed), shift.T
    folds = split(cv, problem, groups, random_state)
    check_folds(folds, problem)
    given = np.ones(len(problem.w)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    rows, out = [], np.full(shift.shape, np.nan)
    for train, test in folds:
        weights = np.zeros(len(given))
        weights[train] = given[train]
        found = fit_cv(X, y, cv=within(inner, problem, train, groups, random_state), scoring=scoring, family=family,
                       l1_ratio=l1_ratio, sample_weight=weights, offset=offset, **same)
        path, alpha = found._model(rule, X, y, {"sample_weight": weights, "offset": offset})
        eta = path.linear(problem.data.X[test], alpha) + shift[test]
        out[test] = problem.family.inverse(eta)
        used = int(np.atleast_2d(path.coef_at(alpha)).any(axis=0).sum())
        rows.append((score(test, eta), alpha, found.l1_ratio_best, used))
    scores, alphas, ratios, n_nonzero = (np.array(column) for column in zip(*rows, strict=True))
    weight = np.array([problem.w[test].sum() for _, test in folds])
    mean, se = summary(scores[:, None], weight, scoring)
    return NestedScore(float(mean[0]), float(se[0]), scores, _name(scoring), alphas, ratios, n_nonzero, out, weight)


def within(inner: Any, problem: Problem, train: Any, groups: Any, random_state: int) -> list[Fold]:
    """Folds among the training rows of an outer fold, as row numbers of the whole."""
    train = train[problem.w[train] > 0]
    w = problem.w[train]
    part = replace(problem, y=problem.y[..., train], w=w / w.sum())
    folds = split(inner, part, None if groups is None else np.asarray(groups)[train], random_state)
    return [(train[a], train[b]) for a, b in folds]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Penalties on the same folds.

    Attributes
    ----------
    names : list of m str
    mean, se : (m,) float64
        Score of each, and its standard error over the folds.
    difference, difference_se : (m, m) float64
        Mean over the folds of the score in row i less that in column j, and the standard error of this mean: folds
        are hard or easy for all penalties alike, so differences are better known than scores.
    scores : (m, n_folds) float64
    alphas, l1_ratios, n_nonzero : (m,), or (m, n_folds) where `inner` was given
    scoring : str
    """

    names: list[str]
    mean: Float
    se: Float
    difference: Float
    difference_se: Float
    scores: Float
    alphas: Float
    l1_ratios: Float
    n_nonzero: Any
    scoring: str

    @property
    def best(self) -> int:
        """Position of the best mean score."""
        return int(np.argmin(self.mean) if self.scoring == "deviance" else np.argmax(self.mean))

    def __repr__(self) -> str:
        best = self.best
        lines = [f"{'penalty':12} {self.scoring:>12} {'± se':>10} {f'less {self.names[best]}':>18} {'± se':>10}"]
        for i, name in enumerate(self.names):
            lines.append(f"{name:12} {self.mean[i]:12.6g} {self.se[i]:10.3g} {self.difference[i, best]:18.4g} "
                         f"{self.difference_se[i, best]:10.3g}")
        return "\n".join(lines)


PENALTIES: dict[str, float | list[float]] = {"L1": 1.0, "elastic net": [0.1, 0.3, 0.5, 0.7, 0.9], "L2": 0.0}


def compare_penalties(X: Any, y: Any, *, penalties: dict[str, float | list[float]] | None = None, cv: Any = 10,
                      inner: Any = None, rule: Rule = "min", groups: Any = None, scoring: Any = None,
                      random_state: int = 0, family: str | Family = "gaussian", sample_weight: Any = None,
                      offset: Any = None, **same: Any) -> Comparison:
    """L1, L2 and elastic net on the same folds: paired differences of their scores, with standard errors.

    Parameters
    ----------
    X, y, family, groups, scoring, random_state, sample_weight, offset, **same
        As in `fit_cv`.
    penalties : dict of str to l1_ratio, or to several of which the best is taken; optional
        Default: "L1" (1), "elastic net" (0.1, 0.3, 0.5, 0.7, 0.9), "L2" (0).
    cv : int, splitter or iterable of (train, test)
        The folds, made once.
    inner : None, int or splitter
        None: each penalty is scored at the α that `rule` picks from the same folds; the more a penalty could choose
        from, the more this flatters it. Else as in `score_nested`: honest, for `cv` times the work.
    rule : str, int or tuple
        A rule of the grid, as in `CVPath.alpha`.

    Returns
    -------
    Comparison
        Its repr is a table.

    Raises
    ------
    ValueError, TypeError
        As `fit_cv`.
    """
    parse(rule)
    wanted = PENALTIES if penalties is None else dict(penalties)
    if not wanted:
        raise ValueError("penalties must name at least one; got none")
    problem = prepare(X, y, family=family, sample_weight=sample_weight, offset=offset)
    folds = split(cv, problem, groups, random_state)
    data = {"family": family, "sample_weight": sample_weight, "offset": offset, "scoring": scoring}
    rows: list[tuple[Any, ...]] = []
    for ratio in wanted.values():
        if inner is not None:
            score = score_nested(X, y, cv=folds, inner=inner, rule=rule, groups=groups, l1_ratio=ratio,
                                 random_state=random_state, **data, **same)
            rows.append((score.scores, score.alphas, score.l1_ratios, score.n_nonzero))
            continue
        found = fit_cv(X, y, cv=folds, l1_ratio=ratio, **data, **same)
        known: dict[str, Any] = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
        alpha = found.alpha(rule, **({} if parse(rule)[0] == "features" else known))
        k = int(np.searchsorted(-found.path.alphas, -alpha))
        rows.append((found.scores[:, k], alpha, found.l1_ratio_best, found.path.n_nonzero[k]))
    scores, alphas, ratios, used = (np.array(column) for column in zip(*rows, strict=True))
    weight = np.array([problem.w[test].sum() for _, test in folds])
    mean, se = summary(scores.T, weight, scoring)
    m = len(scores)
    pairs = (scores[:, None] - scores[None]).reshape(m * m, -1)
    difference, error = summary(pairs.T, weight, scoring)
    return Comparison(list(wanted), mean, se, difference.reshape(m, m), error.reshape(m, m), scores, alphas, ratios,
                      used, _name(scoring))


def _name(scoring: Any) -> str:
    return "deviance" if scoring is None else getattr(scoring, "__name__", str(scoring))
