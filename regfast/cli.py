"""The command line: ``regfast fit``, ``regfast predict``, ``regfast demo``."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ._version import __version__
from .cv import fit_cv
from .result import CVPath, Rule
from .store import load
from .tables import Table, listed, read_features, read_table, require

Float = npt.NDArray[np.float64]
USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)
PIPED_WIDTH = 120  # characters; a pipe has no width of its own


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        The exit code: 0; 2 after an error of the user (one line on stderr); 130 after Ctrl-C; 141 where the
        reader of a pipe has gone.
    """
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot write must not end the program
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with _warnings_as_lines():
            options = _parser().parse_args(argv)
            options.run(options)
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at exit
        return 141
    except USER_ERRORS as err:
        _say("error", str(err) or type(err).__name__)
        return 2
    except KeyboardInterrupt:
        print("regfast: interrupted", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """Argument errors like all others: one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} ({self.prog} --help tells more)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("regfast", description="Lasso and elastic-net models with a certificate.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"regfast {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a path, choose the penalty by cross-validation", allow_abbrev=False)
    fit.set_defaults(run=_fit)
    add = fit.add_argument
    add("table", metavar="TABLE", help=".csv .tsv .parquet .svm .svmlight .libsvm .npz (sparse)")
    add("--target", metavar="COLUMN", help="what to predict; a svmlight file holds it itself; in a .npz, the name of "
        "a vector of the archive (default y), or the number of a column")
    add("--weights", metavar="COLUMN", help="sample weights, named like the target")
    add("--l1-ratio", metavar="R", type=float, nargs="+", default=[1.0],
        help="1: lasso (default), 0: ridge, between: elastic net; of several, the best is taken")
    add("--cv", metavar="K", type=int, default=10, help="folds (default 10)")
    add("--alphas", metavar="N", type=int, default=100, help="penalty strengths to try (default 100)")
    add("--eps", metavar="E", type=float,
        help="the smallest alpha over the largest (default 1e-4, or 1e-2 with fewer rows than columns)")
    add("--tol", type=float, default=1e-7, help="relative duality gap to reach (default 1e-7)")
    add("--no-standardize", action="store_true", help="penalise coefficients as they are")
    add("--no-intercept", action="store_true", help="predict 0 where all features are 0")
    add("--rule", choices=("min", "1se"), default="min",
        help="which model to show: the one of least error (default), or the sparsest within one standard error of it")
    add("--seed", type=int, default=0, help="of the shuffle into folds (default 0)")
    add("--plot", metavar="FILE", help="save a picture of curve and path (.png .pdf .svg)")
    add("--model", metavar="FILE", help="save the model (JSON)")
    add("--top", metavar="N", type=int, default=20, help="features to list (default 20)")
    add("--quiet", action="store_true", help="print nothing but warnings and errors")

    predict = commands.add_parser("predict", help="predict with a saved model", allow_abbrev=False)
    predict.set_defaults(run=_predict)
    add = predict.add_argument
    add("model", metavar="MODEL", help="what 'regfast fit --model' wrote")
    add("table", metavar="TABLE", help="the features, in any format that 'regfast fit' reads")
    add("--rule", choices=("min", "1se"), default="min", help="which model of the path (default min)")
    add("--out", metavar="FILE", help="write the CSV here and not to the terminal")

    demo = commands.add_parser("demo", help="two examples on data that this machine has", allow_abbrev=False)
    demo.set_defaults(run=_demo)
    demo.add_argument("--out", metavar="DIR", default=".", help="folder for pictures and models (default: this)")
    return parser


# ---- the commands


def _fit(options: argparse.Namespace) -> None:
    _check_outputs(options)
    console = None if options.quiet else console_for(sys.stdout)
    table = read_table(options.table, options.target, weights=options.weights)
    if table.y is None:
        raise ValueError(f"--target: say what to predict; {table.source} has the columns {_columns(table)}")
    ratios, scaled = options.l1_ratio, not options.no_standardize
    if console is not None:
        describe(console, table.source, table.X)
        weighted = table.weights is not None
        console.print(objective(ratios, scaled, not options.no_intercept, weighted), soft_wrap=True)
        console.print(f"{options.cv}-fold cross-validation, {options.alphas} alphas, seed {options.seed}")
    with progress_bar(options.quiet) as progress:
        cv = fit_cv(table.X, table.y, cv=options.cv, l1_ratio=ratios if len(ratios) > 1 else ratios[0],
                    random_state=options.seed, n_alphas=options.alphas, eps=options.eps, sample_weight=table.weights,
                    tol=options.tol, fit_intercept=not options.no_intercept, standardize=scaled, n_jobs=-1,
                    progress=progress)
    cv = named(cv, table.feature_names)
    if console is not None:
        report(console, cv, table.y, table.weights, rule=options.rule, top=options.top)
    for written in save(cv, model=options.model, plot=options.plot):
        if console is not None:
            console.print(f"wrote {written}", soft_wrap=True)


def _check_outputs(options: argparse.Namespace) -> None:
    """What would go wrong after the work is said before it."""
    for file in (options.plot, options.model):
        if file is not None and not Path(file).resolve().parent.is_dir():
            raise FileNotFoundError(f"{file}: its folder does not exist")
    if options.plot is not None:
        known = require("matplotlib.backend_bases", "plot").FigureCanvasBase.get_supported_filetypes()
        if Path(options.plot).suffix[1:].lower() not in known:
            raise ValueError(f"--plot: {options.plot} names no format of pictures; want one of .{', .'.join(known)}")
    if options.top < 0:
        raise ValueError(f"--top must not be negative; got {options.top}")


def _predict(options: argparse.Namespace) -> None:
    model = load(options.model)
    path = model.path if isinstance(model, CVPath) else model
    if not isinstance(model, CVPath) and len(path) != 1:
        raise ValueError(f"{options.model} holds a path of {len(path)} models and no rule to choose one; "
                         "want what 'regfast fit --model' or CVPath.save wrote")
    names = None if path.feature_names_in_ is None else [str(name) for name in path.feature_names_in_]
    X, ignored = read_features(options.table, names, path.coefs.shape[0])
    if ignored:
        _say("note", f"columns that the model does not know are ignored: {listed(ignored)}")
    y = model.predict(X, options.rule) if isinstance(model, CVPath) else model.predict(X, path.alphas[0])
    lines = "\n".join(["prediction", *map(repr, y.tolist())]) + "\n"
    if options.out is None:
        sys.stdout.write(lines)
    else:
        Path(options.out).write_text(lines, encoding="utf-8")


def _demo(options: argparse.Namespace) -> None:
    from .demo import run

    run(options.out)


# ---- what `fit` and the demo print and save


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


def objective(ratios: Sequence[float], standardize: bool, intercept: bool, weighted: bool) -> str:
    """What is minimised, in words."""
    loss = f"half the {'weighted ' if weighted else ''}mean squared error"
    size = "|coefficient × standard deviation|" if standardize else "|coefficient|"
    square = size.replace("|", "(", 1).replace("|", ")²")
    free = "the intercept is not penalised" if intercept else "no intercept"
    if list(ratios) == [1.0]:
        return f"lasso: least {loss} + alpha × sum of {size}; {free}"
    if list(ratios) == [0.0]:
        return f"ridge: least {loss} + alpha/2 × sum of {square}; {free}"
    r = f"r the best of {', '.join(f'{r:g}' for r in ratios)}" if len(ratios) > 1 else f"r = {ratios[0]:g}"
    return f"elastic net: least {loss} + alpha × sum of [r × {size} + (1 − r)/2 × {square}], {r}; {free}"


def report(console: Any, cv: CVPath, y: Float, weights: Float | None, *, rule: Rule, top: int) -> None:
    """The two choices of alpha, the features at one of them, how well they predict, how exact the path is."""
    path, tables = cv.path, require("rich.table", "cli")
    heads = ("alpha", "CV mean squared error", "features", "deviance explained")
    columns = [tables.Column(head, justify="right") for head in heads]
    choice = tables.Table("rule", *columns, box=_box())
    for name, alpha in (("min", cv.alpha_min), ("1se", cv.alpha_1se)):
        k = int(np.searchsorted(-path.alphas, -alpha))
        error = f"{cv.score_mean[k]:.6g} ± {cv.score_se[k]:.3g}"
        choice.add_row(name, f"{alpha:.6g}", error, f"{path.n_nonzero[k]:,}", f"{path.deviance_ratio[k]:.1%}")
    console.print(choice)
    if len(cv.l1_ratios) > 1:
        console.print(f"l1_ratio: {cv.l1_ratio_best:g} predicts best")
    print_features(console, cv, rule, top)
    fit = r_squared(y, cv.oof_predictions, weights)
    console.print(f"out-of-fold R² at alpha_min, which the same folds chose: {fit:.4f}")
    relative = "relative " if path.gap_kind == "duality gap" else ""
    console.print(f"worst certified {relative}{path.gap_kind} of {len(path)} alphas: {path.gaps.max():.1e}")


def print_features(console: Any, cv: CVPath, rule: Rule, top: int) -> None:
    """A table of the largest coefficients on the standardised scale (times the column's standard deviation)."""
    tables = require("rich.table", "cli")
    coef = cv.coef(rule)
    scaled = coef * cv.path.scales
    order = np.argsort(-np.abs(scaled), kind="stable")
    order = order[coef[order] != 0]
    console.print(f"{len(order):,} of {len(coef):,} features at alpha_{rule}; intercept {cv.intercept(rule):.6g}")
    heads = [tables.Column(head, justify="right") for head in ("coefficient", "coefficient × sd")]
    table = tables.Table(tables.Column("feature", max_width=44, no_wrap=True), *heads, box=_box())
    text, names = require("rich.text", "cli").Text, cv.path.names
    for j in order[:top]:
        table.add_row(text(" ".join(str(names[j]).split())), f"{coef[j]:.6g}", f"{scaled[j]:.6g}")
    console.print(table)
    if len(order) > top:
        console.print(f"  … and {len(order) - top:,} more")


def _box() -> Any:
    return require("rich.box", "cli").SIMPLE


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


def save(cv: CVPath, *, model: str | Path | None = None, plot: str | Path | None = None) -> list[str]:
    """Write the model and the picture, the model first; the names of the files written."""
    written = []
    if model is not None:
        cv.save(model)
        written.append(str(model))
    if plot is not None:
        from .plots import plot_overview

        figure = require("matplotlib.figure", "plot").Figure(figsize=(12, 5))  # not pyplot: no display is needed
        plot_overview(cv, figure).savefig(plot, dpi=150)
        written.append(str(plot))
    return written


# ---- lines on stderr


def _say(kind: str, message: str) -> None:
    print(f"regfast: {kind}: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """What the library warns of, a line each, without the source line that raised it."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        _say("warning", str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def _columns(table: Table) -> str:
    if table.feature_names is None:
        return f"0 to {table.X.shape[1] - 1}"
    return listed([repr(name) for name in table.feature_names.tolist()])
