"""Rules that choose an α from what a cross-validation and the data say of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from .information import GIVE, NAMES, Criteria, information
from .validation import Float

if TYPE_CHECKING:
    from .cvpath import CVPath

Rule = str | int | tuple[str, float]
ON_PATH = ("alo", *NAMES)
BY_FOLDS = ("min", "1se")


def parse(rule: Any, name: str = "rule", folds: bool = True) -> tuple[str, Any]:
    """(kind, number): what a rule says; "within 2%" and ("within", 2) are one, "5" and 5 another.

    Raises
    ------
    ValueError
        It is no rule, or asks folds that are not there.
    """
    if isinstance(rule, (int, np.integer)) and not isinstance(rule, bool):
        return "features", int(rule)
    text = f"within {rule[1]}%" if isinstance(rule, tuple) and len(rule) == 2 and rule[0] == "within" else rule
    if isinstance(text, str):
        if text in ON_PATH or (folds and text in BY_FOLDS):
            return text, None
        if text.isdecimal():
            return "features", int(text)
        percent = re.fullmatch(r"within (\d+(?:\.\d*)?(?:e[+-]?\d+)?) ?%", text)
        if percent and folds:
            return "within", float(percent[1])
    wanted = ", ".join(map(repr, (*(BY_FOLDS if folds else ()), *(("within 2%",) if folds else ()), *ON_PATH)))
    raise ValueError(f"{name} must be one of {wanted}, or a number of features; got {rule!r}")


def simplest(loss: Float, slack: float) -> int:
    """The first α, the largest, whose loss is within `slack` of the least."""
    at = int(np.argmin(loss))
    return int(np.flatnonzero(loss[:at + 1] <= loss[at] + slack)[0])


def position(cv: CVPath, rule: Any, known: Criteria | None) -> int:
    """Where on the grid a rule points to."""
    kind, number = parse(rule)
    loss = cv.score_mean if cv.scoring == "deviance" else -cv.score_mean
    at = int(np.argmin(loss))
    if kind == "min":
        return at
    if kind == "1se":
        return simplest(loss, float(cv.score_se[at]))
    if kind == "within":
        return simplest(loss, number / 100 * abs(float(loss[at])))
    return on_path(cv.path, kind, number, known)


def on_path(path: Any, kind: str, number: Any, known: Criteria | None) -> int:
    """Where a rule that asks no folds points to."""
    if kind == "features":
        fits = np.flatnonzero(path.n_nonzero <= number)
        if not fits.size:
            raise ValueError(f"no alpha of the path has at most {number} features; the fewest are "
                             f"{path.n_nonzero.min()}")
        return int(fits[-1])
    if kind == "alo":
        if known is None:
            raise ValueError(f"'alo' leaves out rows of the data: {GIVE}, or fit_cv(..., criteria=True)")
        if not np.isfinite(known.alo).any():
            raise ValueError("'alo': at every alpha some row alone determines a coefficient")
        return int(np.argmin(known.alo))
    return int(np.argmin(information(path, kind, known)))
