"""What `regfast fit` and the demo print and save: the objective in words, the choices of alpha, features, quality."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from . import families
from .cvpath import CVPath
from .rules import Rule
from .tables import require

Float = npt.NDArray[np.float64]
PIPED_WIDTH = 120  # characters; a pipe has no width of its own


def console_for(stream: Any) -> Any:
    """A rich Console that never shortens numbers for a pipe."""
    width = None if stream.isatty() else PIPED_WIDTH
    return require("rich.console", "cli").Console(file=stream, width=width, highlight=False, markup=False)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Any]:
    """What `fit_cv` takes as `progress`: a bar on stderr if that is a terminal, else False."""
    if quiet or not sys.stderr.isatty():
        yield False
        return
    console = console_for(sys.stderr)
    with require("rich.progress", "cli").Progress(console=console, transient=True) as bar:
        task = bar.add_task("cross-validation", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def describe(console: Any, source: str, X: Any) -> None:
    """One line: rows, columns and, of a sparse matrix, how full it is."""
    n, p = X.shape
    line = f"{source}: {n:,} rows, {p:,} columns"
    if sparse.issparse(X):
        line += f", sparse: {X.nnz:,} entries ({X.nnz / max(1, n * p):.3%} of all)"
    console.print(line, soft_wrap=True)


def objective(ratios: Sequence[float], standardize: bool, intercept: bool, weighted: bool,
              family: str = "gaussian") -> str:
    """What is minimised, in words."""
    likelihood, mean = families.get(family), f"{'weighted ' if weighted else ''}mean"
    loss = f"half the {mean} {likelihood.measure}"
    if isinstance(likelihood, (families.Binomial, families.Multinomial)):
        loss = f"the {mean} log loss"
    if likelihood.link != "identity":
        loss += f" ({likelihood.link} link)"
    size = "|coefficient × standard deviation|" if standardize else "|coefficient|"
    square = size.replace("|", "(", 1).replace("|", ")²")
    free = "the intercept is not penalised" if intercept else "no intercept"
    if list(ratios) == [1.0]:
        return f"lasso: least {loss} + alpha × sum of {size}; {free}"
    if list(ratios) == [0.0]:
        return f"ridge: least {loss} + alpha/2 × sum of {square}; {free}"
    r = f"r the best of {', '.join(f'{r:g}' for r in ratios)}" if len(ratios) > 1 else f"r = {ratios[0]:g}"
    return f"elastic net: least {loss} + alpha × sum of [r × {size} + (1 − r)/2 × {square}], {r}; {free}"


def report(console: Any, cv: CVPath, y: npt.NDArray[Any], weights: Float | None, *, rule: Rule, top: int) -> None:
    """The choices of alpha, the features at one of them, how well they predict, how exact the path is."""
    path, tables = cv.path, require("rich.table", "cli")
    heads = ("alpha", f"CV mean {families.get(path.family).measure}", "features", "deviance explained")
    columns = [tables.Column(head, justify="right") for head in heads]
    choice = tables.Table("rule", *columns, box=_box())
    for name in dict.fromkeys(("min", "1se", rule)):
        alpha = cv.alpha(name)
        k = int(np.searchsorted(-path.alphas, -alpha))
        error = f"{cv.score_mean[k]:.6g} ± {cv.score_se[k]:.3g}"
        choice.add_row(str(name), f"{alpha:.6g}", error, f"{path.n_nonzero[k]:,}", f"{path.deviance_ratio[k]:.1%}")
    console.print(choice)
    if len(cv.l1_ratios) > 1:
        console.print(f"l1_ratio: {cv.l1_ratio_best:g} predicts best")
    if cv.dropouts is not None and len(cv.dropouts) > 1:
        console.print(f"dropout: {cv.dropout_best:g} predicts best")
    print_features(console, cv, rule, top)
    console.print(quality(cv, y, weights))
    if path.classes_ is not None and path.outputs == [None]:
        first, second = path.classes_.tolist()
        console.print(f"probabilities are those of {second!r}, against {first!r}")
    relative = "relative " if path.gap_kind == "duality gap" else ""
    console.print(f"worst certified {relative}{path.gap_kind} of {len(path)} alphas: {path.gaps.max():.1e}")


def print_features(console: Any, cv: CVPath, rule: Rule, top: int) -> None:
    """A table, for each class, of the largest coefficients on the standardised scale (times the column's sd)."""
    tables, text, names = require("rich.table", "cli"), require("rich.text", "cli").Text, cv.path.names
    at = f"alpha_{rule}" if rule in ("min", "1se") else f"rule {rule}"
    for output, coef, intercept in cv.models(rule):
        scaled = coef * cv.path.scales
        order = np.argsort(-np.abs(scaled), kind="stable")
        order = order[coef[order] != 0]
        of = "" if output is None else f"{output!r}: "
        console.print(f"{of}{len(order):,} of {len(coef):,} features at {at}; intercept {intercept:.6g}")
        heads = [tables.Column(head, justify="right") for head in ("coefficient", "coefficient × sd")]
        table = tables.Table(tables.Column("feature", max_width=44, no_wrap=True), *heads, box=_box())
        for j in order[:top]:
            table.add_row(text(" ".join(str(names[j]).split())), f"{coef[j]:.6g}", f"{scaled[j]:.6g}")
        console.print(table)
        if len(order) > top:
            console.print(f"  … and {len(order) - top:,} more")


def _box() -> Any:
    return require("rich.box", "cli").SIMPLE


def quality(cv: CVPath, y: npt.NDArray[Any], weights: Float | None) -> str:
    """How well the rows held out are predicted at `alpha_min`; `cv` scored by deviance."""
    path, when = cv.path, "at alpha_min, which the same folds chose"
    if families.get(path.family).quadratic:
        return f"out-of-fold R² {when}: {r_squared(y, cv.oof_predictions, weights):.4f}"
    loss = cv.score_mean[path.alphas.tolist().index(cv.alpha_min)]  # folds weigh as their rows: that of all rows
    line = f"out-of-fold deviance explained {when}: {1 - loss / path.null_deviance:.4f}"
    if path.classes_ is None:
        return line
    if cv.oof_predictions.ndim > 1:
        chosen = path.classes_[cv.oof_predictions.argmax(axis=1)]
        return f"{line}; accuracy {np.average(chosen == y, weights=weights):.4f}"
    second = y == path.classes_[1]
    right = np.average((cv.oof_predictions > 0.5) == second, weights=weights)
    area = require("sklearn.metrics", "cli").roc_auc_score(second, cv.oof_predictions, sample_weight=weights)
    return f"{line}; accuracy {right:.4f}, AUC {area:.4f}"


def r_squared(y: Float, predicted: Float, weights: Float | None) -> float:
    """1 − Σ w (y − prediction)² / Σ w (y − mean)²; NaN for a constant y."""
    w = np.ones_like(y) if weights is None else weights
    total = float(w @ (y - np.average(y, weights=w)) ** 2)
    return 1 - float(w @ (y - predicted) ** 2) / total if total > 0 else float("nan")


def named(cv: CVPath, names: npt.NDArray[np.str_] | None) -> CVPath:
    """The same result with the table's column names: NumPy and SciPy matrices carry none of their own."""
    if names is None:
        return cv
    return replace(cv, path=replace(cv.path, feature_names_in_=names.astype(object)))


def save(cv: CVPath, *, model: str | Path | None = None, plot: str | Path | None = None, page: Any = None,
         report_file: str | Path | None = None) -> list[str]:
    """Write the model, the picture and a `CVPath.report`, the model first; the names of the files written."""
    written = []
    if model is not None:
        cv.save(model)
        written.append(str(model))
    if plot is not None:
        from .plots import plot_overview

        figure = require("matplotlib.figure", "plot").Figure(figsize=(12, 5))  # not pyplot: no display is needed
        plot_overview(cv, figure).savefig(plot, dpi=150)
        written.append(str(plot))
    if page is not None and report_file is not None:
        page.save(report_file)
        written.append(str(report_file))
    return written
