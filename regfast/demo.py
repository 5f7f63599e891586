"""Two problems that every machine has: a small table of patients, and the source text of Python itself."""

from __future__ import annotations

import ast
import keyword
import re
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from . import cli
from .cv import fit_cv
from .result import CVPath
from .tables import require

# Strings and comments match without a group and so drop out: a docstring must not tell what its function does.
TOKEN = re.compile(
    r"(?:\b[rRbBuUfF]{1,2})?"
    r'(?:"""[\s\S]*?(?<!\\)(?:\\\\)*"""' r"|'''[\s\S]*?(?<!\\)(?:\\\\)*'''"
    r'|"(?:\\[\s\S]|[^"\\\n])*"' r"|'(?:\\[\s\S]|[^'\\\n])*')"
    r"|#[^\n]*"
    r"|([^\W\d]\w*|\d[\w.]*|[-+*/%&|^~<>=!@]+|[.,;()\[\]{}])"
)  # fmt: skip
BRANCHES = frozenset(("if", "elif", "for", "while", "except", "and", "or"))
"""The words that McCabe (1976, IEEE Trans. Softw. Eng. 2) counts: each adds a way through the function."""
COMPANIONS = frozenset(("else", "in", "is", "not", "try", "finally", "break", "continue", "as", "match", "case"))
"""Words that hardly come without one of those; they would give the answer away."""
NOT_LIBRARY = frozenset(
    ("test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data")
)  # fmt: skip


@dataclass(frozen=True)
class Text:
    """Functions as rows, code fragments as columns.

    Attributes
    ----------
    X : (n, p) csr_array, float64, int32 indices
        1 where the fragment (one, two or three neighbouring tokens) occurs in the function.
    y : (n,) float64
        log2 of the cyclomatic complexity: 1 + the number of `BRANCHES`.
    names : (p,) array of str
        The fragments, tokens separated by a space; single tokens first.
    groups : (n,) intp
        The file of each function, so that no file is in two folds.
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
        An existing folder, which gets diabetes.png, diabetes.json, stdlib.png and stdlib.json.

    Raises
    ------
    OSError
        The folder is missing, or Python's library has no readable source. ImportError: rich or matplotlib is missing.
    """
