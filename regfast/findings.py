"""What a cross-validation says, in words and tables: the sections that `CVPath.report` prints or saves as a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from . import families
from .cvpath import CVPath
from .duality import backward
from .influence import same_problem, slopes
from .information import NAMES
from .problem import Problem
from .rules import Rule
from .validation import Float

TOP = 30
"""Features that are listed."""

LIKE, TWIN = 0.7, 0.99
"""Correlations from which a column may stand in for another, and from which it is nearly the same."""


@dataclass(frozen=True)
class Section:
    """A heading with sentences, a table, and the name of a picture (see `displays.draw`)."""

    title: str
    text: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    picture: str = ""


def findings(cv: CVPath, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> list[Section]:
    """The sections, for the model that `rule` picks; X, y, `sample_weight` and `offset` are those of the fit."""
    problem = None
    if X is not None:
        problem = same_problem(cv.path, X, y, data.get("sample_weight"), data.get("offset"))
        if cv.criteria is None and not cv.path.dropout:
            cv = cv.with_criteria(X, y, **data)
    cv.alpha(rule)
    rivals = None if problem is None else competitors(cv, rule, problem)
    return [Section("What was fitted", (summary(cv),)), Section("Warnings", remarks(cv, rule, rivals)), choices(cv),
            flatness(cv), balance(cv, rule), features(cv, rule, rivals), entering(cv), agreement(cv)]


def summary(cv: CVPath) -> str:
    """One sentence: data, family, penalty, folds, accuracy."""
    path = cv.path
    penalty = {1.0: "lasso", 0.0: "ridge"}.get(path.l1_ratio, f"elastic net, l1_ratio = {path.l1_ratio:g}")
    tried = f" (the best of {', '.join(f'{r:g}' for r in cv.l1_ratios)})" if len(cv.l1_ratios) > 1 else ""
    if path.dropout:
        tried += f", dropout {path.dropout:g}{'' if path.convex else ' to second order (not convex)'}"
    scaled = "columns standardised" if path.standardize else "columns as they are"
    measure = families.get(path.family).measure if cv.scoring == "deviance" else f"{cv.scoring}, greater is better"
    return (f"{path.n_samples:,} observations, {len(path.scales):,} features, family {path.family}; {penalty}{tried}, "
            f"{scaled}; {len(path)} strengths alpha from {path.alphas[0]:.4g} to {path.alphas[-1]:.4g}, {cv.n_folds} "
            f"folds scored by {measure}; every solution certified, worst {path.gap_kind} {path.gaps.max():.1e}.")


def position(cv: CVPath, alpha: float) -> int:
    return int(np.searchsorted(-cv.path.alphas, -alpha))


def rules(cv: CVPath) -> dict[str, float]:
    """Every rule that can be applied without going back to the data, and its α."""
    out: dict[str, float] = {}
    for rule in ("min", "1se", "within 2%", *NAMES, "alo"):
        try:
            out[rule] = cv.alpha(rule)
        except ValueError:  # it needs the data, or every model is saturated
            continue
    return out


def choices(cv: CVPath) -> Section:
    """What each rule picks."""
    path, rows = cv.path, []
    by_deviance = cv.scoring == "deviance"
    for rule, alpha in rules(cv).items():
        k = position(cv, alpha)
        rows.append((rule, f"{alpha:.4g}", f"{path.n_nonzero[k]:,}", f"{cv.score_mean[k]:.5g} ± {cv.score_se[k]:.3g}",
                     f"{cv.train_mean[k]:.5g}", f"{path.deviance_ratio[k]:.1%}",
                     "" if cv.criteria is None else f"{cv.criteria.df[k]:.1f}"))
    name = "held-out deviance" if by_deviance else f"held-out {cv.scoring}"
    missing = () if cv.criteria is not None else (
        "Rules that go back to the data (\"alo\", \"refitted …\") need X and y, or fit_cv(..., criteria=True).",)
    return Section("What each rule selects", missing, ("rule", "alpha", "features", f"{name} ± s.e.",
                   "training deviance", "deviance explained, all rows", "degrees of freedom"), tuple(rows), "curve")


def loss_of(cv: CVPath) -> Float:
    return cv.score_mean if cv.scoring == "deviance" else -cv.score_mean


def near(cv: CVPath) -> tuple[int, int]:
    """First and last α in one piece around the best whose mean loss is within one standard error of it."""
    loss = loss_of(cv)
    at = int(np.argmin(loss))
    fits = loss <= loss[at] + cv.score_se[at]
    lo, hi = at, at
    while lo > 0 and fits[lo - 1]:
        lo -= 1
    while hi < len(loss) - 1 and fits[hi + 1]:
        hi += 1
    return lo, hi


def flatness(cv: CVPath) -> Section:
    """How sharply the folds tell one α from another."""
    a, k = cv.path.alphas, cv.path.n_nonzero
    lo, hi = near(cv)
    factor = f"a factor of {a[lo] / a[hi]:.3g}" if a[hi] > 0 else "down to no penalty"
    text = [f"Within one standard error of the best are alpha = {a[lo]:.4g} to {a[hi]:.4g}, {factor}, with "
            f"{k[lo]:,} to {k[hi]:,} features. The folds do not tell these models apart."]
    if lo == 0:
        text.append("The range reaches the strongest penalty: these rows do not show that the features predict at all.")
    if hi == len(a) - 1:
        text.append("The range reaches the weakest penalty: a weak one does no harm here.")
    return Section("How flat the curve is", tuple(text))


def balance(cv: CVPath, rule: Rule) -> Section:
    """Bias and variance: training against held-out deviance along the path."""
    title = "Under- or over-regularised?"
    if cv.scoring != "deviance":
        return Section(title, (f"Training and held-out deviance are compared where the folds are scored by deviance; "
                               f"here they are scored by {cv.scoring}.",))
    k, (lo, hi) = position(cv, cv.alpha(rule)), near(cv)
    at = int(np.argmin(cv.score_mean))
    place = "inside the range that the folds cannot tell from the best"
    if k < lo:
        place = "over-regularised: stronger than that range, held-out and training deviance are both high (bias)"
    elif k > hi:
        place = "under-regularised: weaker than that range, the training deviance falls and the held-out one rises"
    rows = tuple((name, f"{cv.path.alphas[i]:.4g}", f"{cv.train_mean[i]:.5g}", f"{cv.score_mean[i]:.5g}",
                  f"{cv.score_mean[i] - cv.train_mean[i]:.3g}")
                 for name, i in (("strongest", 0), (f"rule {rule}", k), ("best", at), ("weakest", len(cv.path) - 1)))
    return Section(title, (f"The model of rule {rule} is {place}. Where both lines are high and together the model is "
                           "too simple (bias); where they part it follows the training rows (variance).",),
                   ("penalty", "alpha", "training deviance", "held-out deviance", "difference"), rows, "balance")


def features(cv: CVPath, rule: Rule, rivals: dict[int, str] | None) -> Section:
    """The largest coefficients at a rule, since when, how often, and what could stand in for them."""
    path, coef = cv.path, np.atleast_2d(cv.coef(rule))
    size = np.linalg.norm(coef, axis=0) * path.scales
    used = np.flatnonzero(coef.any(axis=0))
    order = used[np.argsort(-size[used], kind="stable")][:TOP]
    entry, share = entries(cv), None if cv.folds is None else cv.selection_frequency(rule)
    one = len(coef) == 1
    rows = []
    for j in order:
        shown = f"{coef[0, j]:.5g}" if one else f"{np.linalg.norm(coef[:, j]):.5g}"
        row = [str(path.names[j]), shown, f"{size[j] * (np.sign(coef[0, j]) if one else 1):.4g}", f"{entry[j]:.4g}"]
        rows.append((*row, "" if share is None else f"{share[j]:.0%}", (rivals or {}).get(int(j), "")))
    text = [f"{len(used):,} of {coef.shape[1]:,} features at rule {rule}, alpha = {cv.alpha(rule):.4g}"
            + (f"; the {TOP} largest:" if len(used) > TOP else ".")]
    text.append("A feature that is left out adds nothing to those selected at this alpha; it may well matter alone.")
    if share is None:
        text.append("Selection frequencies need fit_cv(..., keep_folds=True).")
    if rivals is None:
        text.append("Correlated competitors need the data: report(X=X, y=y).")
    name = "coefficient" if one else f"length of {len(coef)} coefficients"
    return Section("Selected features", tuple(text), ("feature", name, "× standard deviation", "enters at alpha",
                   "selected in folds", "correlated with"), tuple(rows), "path")


def entries(cv: CVPath) -> Float:
    """(p,) the largest α at which each feature is used; 0 where at none."""
    parts = cv.path.coefs if isinstance(cv.path.coefs, list) else [cv.path.coefs]
    out = np.zeros(len(cv.path.scales))
    for part in parts:
        used = sp.coo_array(part)
        np.maximum.at(out, used.row[used.data != 0], cv.path.alphas[used.col[used.data != 0]])
    return out


def entering(cv: CVPath) -> Section:
    """The order in which features enter."""
    entry, names = entries(cv), cv.path.names
    used = np.flatnonzero(entry)
    order = used[np.argsort(-entry[used], kind="stable")]
    if cv.path.l1_ratio == 0:
        return Section("Which features enter when", ("Ridge uses every feature at every alpha.",))
    rows = tuple((f"{entry[j]:.4g}", str(names[j])) for j in order[:TOP])
    more = f" The first {TOP}:" if len(order) > TOP else ""
    return Section("Which features enter when", (f"{len(order):,} features enter along the path.{more}",),
                   ("alpha", "feature"), rows)


def agreement(cv: CVPath) -> Section:
    """Jaccard overlaps of the supports that the rules select."""
    names = list(rules(cv))
    overlap = cv.jaccard(names)
    rows = tuple((name, *(f"{x:.2f}" for x in row)) for name, row in zip(names, overlap, strict=True))
    return Section("How far the rules agree", ("Features that two rules share, over those that either selects.",),
                   ("", *names), rows)


def remarks(cv: CVPath, rule: Rule, rivals: dict[int, str] | None) -> tuple[str, ...]:
    """What the reader must be warned of."""
    path, out = cv.path, []
    at = int(np.argmin(loss_of(cv)))
    if at == len(path) - 1 and at > 0 and path.path_status == "complete":
        out.append("The best alpha is the smallest of the grid: the error may fall further below it.")
    if at == 0 and len(path) > 1:
        out.append("The best alpha is the largest of the grid: the features do not help to predict the rows held out."
                   if not path.n_nonzero[0] else "The best alpha is the largest of the grid: it may lie above it.")
    elif near(cv)[0] == 0 and len(path) > 1:
        out.append("The model without features is within one standard error of the best.")
    spread = path.scales[path.scales > 0]
    if not path.standardize and len(spread) and spread.max() > 10 * spread.min():
        out.append(f"standardize=False, and the standard deviations of the columns differ by a factor of "
                   f"{spread.max() / spread.min():.3g}: columns of small numbers are penalised more.")
    if "separated" in path.status:
        out.append("Columns without penalty separate the classes: their coefficients have no finite value.")
    if path.path_status == "saturated":
        out.append(f"The path ends saturated at alpha = {path.alphas[-1]:.3g}: from there the model interpolates.")
    k = position(cv, cv.alpha(rule))
    if path.l1_ratio > 0 and path.n_nonzero[k] >= path.n_samples - int(path.fit_intercept):
        out.append(f"The model of rule {rule} has as many features as observations: its training error says nothing.")
    missed = np.flatnonzero((path.gaps > path.tol) & (path.status != "separated"))
    if len(missed):
        out.append(f"{len(missed)} alphas did not reach tol={path.tol:g}; the largest {path.gap_kind} is "
                   f"{path.gaps.max():.1e}.")
    twins = [j for j, text in (rivals or {}).items() if "nearly the same" in text]
    if twins:
        shown = ", ".join(str(path.names[j]) for j in twins[:10])
        out.append(f"Nearly duplicate columns (correlation above {TWIN:g}) stand beside {shown}: which of them is "
                   "selected is arbitrary, and their sum is what the data determine.")
    return tuple(out) or ("None applies.",)


def competitors(cv: CVPath, rule: Rule, problem: Problem) -> dict[int, str]:
    """For each large selected feature the three columns most correlated with it, and how near they are to entering.

    A column enters where its correlation with the residual reaches alpha · l1_ratio · v_j s_j; the share is of that.
    """
    path, alpha = cv.path, cv.alpha(rule)
    coef = np.atleast_2d(cv.coef(rule))
    size = np.linalg.norm(coef, axis=0) * path.scales
    used = np.argsort(-size, kind="stable")[:TOP]
    used = used[coef[:, used].any(axis=0)]
    eta = np.atleast_2d(path.linear(problem.data.X, alpha).T)
    r, _ = slopes(problem, eta if problem.offset is None else eta + problem.offset)
    sd = np.where(path.scales > 0, path.scales, np.inf)
    X = problem.data.X[:, used]
    target = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
    target = problem.w[:, None] * (target - problem.w @ target) / sd[used]
    like = (backward(problem, target) / sd[:, None]).T
    pull = np.abs(backward(problem, r.T)).max(axis=1)
    threshold = alpha * path.l1_ratio * problem.penalties.factors * problem.scale
    out = {}
    for row, j in zip(like, used, strict=True):
        row[j] = 0
        words = []
        for i in np.argsort(-np.abs(row), kind="stable")[:3]:
            if abs(row[i]) < LIKE:
                break
            near_in = f", {pull[i] / threshold[i]:.0%} of the way in" if threshold[i] > 0 else ""
            state = "selected too" if coef[:, i].any() else f"not selected{near_in}"
            same = ", nearly the same" if abs(row[i]) >= TWIN else ""
            words.append(f"{path.names[i]} (r = {row[i]:.2f}, {state}{same})")
        out[int(j)] = "; ".join(words)
    return out
