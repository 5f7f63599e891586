"""The command line: ``regfast fit``, ``regfast predict``, ``regfast demo``."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import families
from ._version import __version__
from .cv import fit_cv
from .cvpath import CVPath
from .report import console_for, describe, named, objective, progress_bar, report, save
from .rules import ON_PATH, parse
from .store import load
from .tables import Table, listed, read_features, read_table, require

RULES = ("min, of least error (default); 1se, the sparsest within one standard error of it; 'within 2%%', or another "
         "percentage; a number, at most so many features; aic, bic, ebic, 'refitted bic' and the like; alo, "
         "approximate leave-one-out")
USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)


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


def _rule(text: str) -> str:
    try:
        parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


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
    add("--family", metavar="NAME", default="gaussian",
        help="gaussian (default); binomial: labels of two classes, text or numbers, or fractions; multinomial: labels "
        "of two classes or more, each with its coefficients; poisson: counts; gamma: positive amounts; 'tweedie(1.5)': "
        "amounts that may be 0, of variance mean^1.5")
    add("--weights", metavar="COLUMN", help="sample weights, named like the target")
    add("--offset", metavar="COLUMN", help="known part of the linear predictor (poisson: the logarithm of the "
        "exposure), named like the target")
    add("--l1-ratio", metavar="R", type=float, nargs="+", default=[1.0],
        help="1: lasso (default), 0: ridge, between: elastic net; of several, the best is taken")
    add("--dropout", metavar="D", type=float, nargs="+", default=[0.0],
        help="train as if each entry were dropped with this probability (gaussian, binomial, multinomial, poisson); of "
        "several, the best is taken")
    add("--cv", metavar="K", type=int, default=10, help="folds (default 10)")
    add("--alphas", metavar="N", type=int, default=100, help="penalty strengths to try (default 100)")
    add("--eps", metavar="E", type=float,
        help="the smallest alpha over the largest (default 1e-4, or 1e-2 with fewer rows than columns)")
    add("--tol", type=float, default=1e-7, help="relative duality gap to reach (default 1e-7)")
    add("--no-standardize", action="store_true", help="penalise coefficients as they are")
    add("--no-intercept", action="store_true", help="predict 0 where all features are 0")
    add("--rule", metavar="RULE", type=_rule, default="min", help=f"which model to show: {RULES}")
    add("--seed", type=int, default=0, help="of the shuffle into folds (default 0)")
    add("--report", metavar="FILE", help="save a page (.html) of what each rule selects, how sure that is and what to "
        "beware of")
    add("--plot", metavar="FILE", help="save a picture of curve and path (.png .pdf .svg)")
    add("--model", metavar="FILE", help="save the model (JSON)")
    add("--top", metavar="N", type=int, default=20, help="features to list (default 20)")
    add("--quiet", action="store_true", help="print nothing but warnings and errors")

    predict = commands.add_parser("predict", help="predict with a saved model", allow_abbrev=False)
    predict.set_defaults(run=_predict)
    add = predict.add_argument
    add("model", metavar="MODEL", help="what 'regfast fit --model' wrote")
    add("table", metavar="TABLE", help="the features, in any format that 'regfast fit' reads")
    add("--offset", metavar="COLUMN", help="if and only if the model was fitted with one")
    add("--rule", metavar="RULE", type=_rule, default="min", help="which model of the path, as for 'regfast "
        "fit' (default min); rules that go back to the data if the fit named one of them or made a report")
    add("--out", metavar="FILE", help="write the CSV here and not to the terminal: the column prediction; for labels "
        "of two classes the columns probability (of the class that sorts last) and label; for a multinomial model "
        "probability_CLASS for each class, and label")

    demo = commands.add_parser("demo", help="two examples on data that this machine has", allow_abbrev=False)
    demo.set_defaults(run=_demo)
    demo.add_argument("--out", metavar="DIR", default=".", help="folder for pictures and models (default: this)")
    return parser


# ---- the commands


def _fit(options: argparse.Namespace) -> None:
    _check_outputs(options)
    family = families.get(options.family)
    several = isinstance(family, families.Multinomial)
    if several and options.offset is not None:
        raise ValueError(f"--offset: got {options.offset!r}, but several classes need a column for each of them; fit "
                         "them from Python (regfast.fit_cv)")
    console = None if options.quiet else console_for(sys.stdout)
    table = read_table(options.table, options.target, weights=options.weights, offset=options.offset,
                       labels=several or isinstance(family, families.Binomial))
    if table.y is None:
        raise ValueError(f"--target: say what to predict; {table.source} has the columns {_columns(table)}")
    ratios, scaled = options.l1_ratio, not options.no_standardize
    if console is not None:
        describe(console, table.source, table.X)
        weighted = table.weights is not None
        console.print(objective(ratios, scaled, not options.no_intercept, weighted, family.name), soft_wrap=True)
        if any(options.dropout):
            console.print(f"averaged over dropout of {', '.join(f'{rate:g}' for rate in options.dropout)}")
        console.print(f"{options.cv}-fold cross-validation, {options.alphas} alphas, seed {options.seed}")
    with progress_bar(options.quiet) as progress:
        cv = fit_cv(table.X, table.y, cv=options.cv, l1_ratio=ratios, dropout=options.dropout,
                    random_state=options.seed, family=family, n_alphas=options.alphas, eps=options.eps,
                    sample_weight=table.weights, offset=table.offset, tol=options.tol,
                    fit_intercept=not options.no_intercept, standardize=scaled, n_jobs=-1, progress=progress,
                    criteria=parse(options.rule)[0] in ON_PATH or not (options.report is None or any(options.dropout)),
                    keep_folds=options.report is not None)
    cv = named(cv, table.feature_names)
    if console is not None:
        report(console, cv, table.y, table.weights, rule=options.rule, top=options.top)
    page = None
    if options.report is not None:
        page = cv.report(rule=options.rule, X=table.X, y=table.y, sample_weight=table.weights, offset=table.offset)
    for written in save(cv, model=options.model, plot=options.plot, page=page, report_file=options.report):
        if console is not None:
            console.print(f"wrote {written}", soft_wrap=True)


def _check_outputs(options: argparse.Namespace) -> None:
    """What would go wrong after the work is said before it."""
    for file in (options.plot, options.model, options.report):
        if file is not None and not Path(file).resolve().parent.is_dir():
            raise FileNotFoundError(f"{file}: its folder does not exist")
    if options.report is not None:
        require("matplotlib.figure", "plot")
        if Path(options.report).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--report: {options.report} must end in .html: a page is what it will be")
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
    if path.has_offset != (options.offset is not None):
        raise ValueError("--offset: the model was fitted with an offset; name its column" if path.has_offset else
                         f"--offset: got {options.offset!r}, but the model was fitted without one; leave it out")
    names = None if path.feature_names_in_ is None else [str(name) for name in path.feature_names_in_]
    X, ignored, offset = read_features(options.table, names, len(path.scales), offset=options.offset)
    if ignored:
        _say("note", f"columns that the model does not know are ignored: {listed(ignored)}")
    alpha = model.alpha(options.rule) if isinstance(model, CVPath) else path.alphas[0]
    mean, kind = path.predict(X, alpha, offset), "prediction" if path.classes_ is None else "probability"
    columns = {kind if output is None else f"{kind}_{output}": column
               for output, column in zip(path.outputs, np.atleast_2d(mean.T), strict=True)}
    if path.classes_ is not None:
        columns["label"] = path.predict(X, alpha, offset, kind="class")
    if options.out is None:
        _write_csv(sys.stdout, columns)
    else:
        with open(options.out, "w", encoding="utf-8", newline="") as stream:
            _write_csv(stream, columns)


def _write_csv(stream: Any, columns: dict[str, Any]) -> None:
    """Numbers as they read back to the same bits, text quoted where it must be."""
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(columns)
    out.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def _demo(options: argparse.Namespace) -> None:
    from .demo import run

    run(options.out)


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
