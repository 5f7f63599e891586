"""Two problems that every machine has: a small table of patients, and the source text of Python itself."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .cv import fit_cv
from .report import console_for, describe, named, objective, progress_bar, report, save
from .tables import require

# Strings and comments match without a group and so drop out: a docstring must not tell what its function does.
TOKEN = re.compile(
    r"(?:\b[rRbBuUfF]{1,2})?"
    r'(?:"""[\s\S]*?(?<!\\)(?:\\\\)*"""'
    r"|'''[\s\S]*?(?<!\\)(?:\\\\)*'''"
    r'|"(?:\\[\s\S]|[^"\\\n])*"'
    r"|'(?:\\[\s\S]|[^'\\\n])*')"
    r"|\#[^\n]*"
    r"|([^\W\d]\w*|\d[\w.]*|[-+*/%&|^~<>=!@]+|[.,;()\[\]{}])"
)
BRANCHES = frozenset(("if", "elif", "for", "while", "except", "and", "or"))
"""What McCabe (1976, IEEE Trans. Softw. Eng. 2) counts: each of these words adds a way through the function."""
COMPANIONS = frozenset(("else", "in", "is", "not", "try", "finally", "break", "continue", "as", "match", "case"))
"""Words that hardly come without one of those; they would give the answer away."""
LEFT_OUT = frozenset(
    ("test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data", "site-packages", "dist-packages")
)
"""Folders of the standard library that are not library code, or not everywhere installed."""


@dataclass(frozen=True)
class Text:
    """Functions as rows, fragments of code as columns.

    Attributes
    ----------
    X : (n, p) csr_array, float64, int32 indices
        1 where the fragment (one, two or three neighbouring tokens) occurs in the function.
    y : (n,) float64
        log2 of the cyclomatic complexity, 1 + the number of `BRANCHES`.
    names : (p,) array of str
        The fragments, their tokens separated by a space; shorter ones first, each length in alphabetical order.
    groups : (n,) intp
        The file of each function: no file may be in two folds.
    """

    X: Any
    y: npt.NDArray[np.float64]
    names: npt.NDArray[np.str_]
    groups: npt.NDArray[np.intp]


def run(out: str | Path = ".") -> None:
    """Fit both problems, print what was found, and write a picture and a model of each.

    Parameters
    ----------
    out : str or path
        A folder, made if need be, which gets diabetes.png, .json and .html, stdlib.png and .json.

    Raises
    ------
    OSError
        The folder cannot be written, or Python's library has no source here.
    ImportError
        rich or matplotlib is missing.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    console = console_for(sys.stdout)
    require("matplotlib", "plot")

    bunch = require("sklearn.datasets", "cli").load_diabetes(scaled=False)
    console.rule("1  442 patients with diabetes: how far the disease goes within a year", align="left")
    names = np.array(bunch.feature_names, dtype=np.str_)
    _solve(console, folder / "diabetes", bunch.data, bunch.target, names, cv=10, keep_folds=True)

    console.print()
    console.rule("2  Python's standard library: how intricate a function is", align="left")
    text = stdlib_text()
    console.print(
        "rows: functions; columns: code of one, two or three tokens, 1 where it occurs, 0 where not; target: log2 of "
        "the number of branches + 1; the words that branch, strings and comments are taken out; folds: by file",
        soft_wrap=True,
    )
    # Columns of 0 and 1 are on one scale as they are. Standardised, a fragment of two functions would cost no more than
    # one of thousands: more than half as many again would be chosen, and predict no better.
    _solve(console, folder / "stdlib", text.X, text.y, text.names, groups=text.groups, cv=5, n_alphas=50, eps=1e-3,
           standardize=False)


def _solve(console: Any, stem: Path, X: Any, y: Any, names: npt.NDArray[np.str_], **how: Any) -> None:
    describe(console, stem.name, X)
    words = objective([1.0], standardize=how.get("standardize", True), intercept=True, weighted=False)
    console.print(words, soft_wrap=True)
    start = perf_counter()
    with progress_bar(quiet=False) as progress:
        cv = named(fit_cv(X, y, n_jobs=-1, progress=progress, **how), names)
    seconds = perf_counter() - start
    report(console, cv, y, None, rule="1se", top=15)
    console.print(f"{how['cv']}-fold cross-validation of {len(cv.path)} alphas: {seconds:.1f} s")
    page = cv.report(rule="1se", X=X, y=y) if cv.folds is not None else None
    for written in save(cv, model=stem.with_suffix(".json"), plot=stem.with_suffix(".png"), page=page,
                        report_file=stem.with_suffix(".html")):
        console.print(f"wrote {written}", soft_wrap=True)


def stdlib_text(root: Path | None = None) -> Text:
    """The functions and methods of Python's standard library as a sparse regression problem.

    Parameters
    ----------
    root : Path, optional
        A folder of Python sources; by default the library of the running interpreter.

    Returns
    -------
    Text
        Of each distinct function once, and of each fragment that occurs in at least two of them. The order of rows
        and columns depends on the sources only.

    Raises
    ------
    OSError
        There are no sources.
    """
    root = Path(sysconfig.get_paths()["stdlib"]) if root is None else root
    rows: list[list[str]] = []
    y, groups = [], []
    seen = set()
    for number, file in enumerate(source_files(root)):
        for source in functions(file):
            if source not in seen:  # a copy in the other fold would be known beforehand
                seen.add(source)
                tokens = [match[1] for match in TOKEN.finditer(source) if match[1]]
                y.append(np.log2(1 + sum(token in BRANCHES for token in tokens)))
                rows.append(fragments(tokens))
                groups.append(number)
    if not rows:
        raise OSError(f"{root}: no Python sources with functions are here")
    X, names = design(rows)
    return Text(X, np.array(y), names, np.array(groups, dtype=np.intp))


def source_files(root: Path) -> list[Path]:
    """Library files under `root`, sorted by their path within it."""
    found = {file.relative_to(root): file for file in root.rglob("*.py")}
    kept = [inner for inner in found if LEFT_OUT.isdisjoint(inner.parts)]
    return [found[inner] for inner in sorted(kept, key=lambda inner: inner.parts)]


def functions(file: Path) -> Iterator[str]:
    """The text of each top-level function and each method; nothing for a file that does not parse."""
    source = file.read_text(encoding="utf-8", errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's string is not our concern
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    lines = source.split("\n")
    pending: list[ast.stmt] = tree.body[::-1]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef):
            pending += node.body[::-1]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield "\n".join(lines[node.lineno - 1 : node.end_lineno])


def fragments(tokens: Sequence[str]) -> list[str]:
    """The distinct runs of one, two and three tokens, without the words that tell of branches."""
    left = [token for token in tokens if token not in BRANCHES and token not in COMPANIONS]
    found: set[str] = set(left)
    for length in (2, 3):
        found.update(" ".join(run) for run in zip(*(left[k:] for k in range(length)), strict=False))
    return list(found)


def design(rows: Sequence[Sequence[str]]) -> tuple[Any, npt.NDArray[np.str_]]:
    """0/1 CSR matrix of the fragments that occur in at least two rows, and their names; never dense."""
    spread = Counter(fragment for row in rows for fragment in row)
    kept = [fragment for fragment, count in spread.items() if count > 1]
    kept.sort(key=lambda fragment: (fragment.count(" "), fragment))
    column = {fragment: j for j, fragment in enumerate(kept)}
    indices: list[int] = []
    indptr = [0]
    for row in rows:
        indices += sorted(column[fragment] for fragment in row if fragment in column)
        indptr.append(len(indices))
    arrays = (np.ones(len(indices)), np.array(indices, dtype=np.int32), np.array(indptr, dtype=np.int32))
    return sparse.csr_array(arrays, shape=(len(rows), len(kept))), np.array(kept, dtype=np.str_)
