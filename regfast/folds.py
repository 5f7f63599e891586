"""Which rows are held out: folds as (train, test) row numbers, from whatever scikit-learn takes for `cv`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import validation as check
from .problem import Problem
from .validation import Float

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def split(cv: Any, problem: Problem, groups: Any, random_state: int) -> list[Fold]:
    """(train, test) index pairs; every fold of an int `cv` is to have every class of labels."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    n, w, labels = len(problem.w), problem.w, problem.labels
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (n,):
            raise ValueError(f"groups must have shape ({n},); got {groups.shape}")
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        k = check.integer("cv", cv, 2)
        most = n if groups is None else len(np.unique(groups))
        if k > most:
            raise ValueError(f"cv={k} folds need at least as many {'rows' if groups is None else 'groups'}; got {most}")
        smallest = n if labels is None else int(np.bincount(labels).min())
        if k > smallest and groups is None:
            raise ValueError(f"cv={k} folds need at least as many rows of each class; the smallest one has {smallest}")
        kind: Any = (KFold if labels is None else StratifiedKFold) if groups is None \
            else GroupKFold if labels is None else StratifiedGroupKFold
        cv = kind(k, shuffle=True, random_state=random_state)
    if hasattr(cv, "split") and not isinstance(cv, (str, bytes)):
        pairs: Iterable[Any] = cv.split(np.empty((n, 0)), problem.y.T if labels is None else labels, groups)
    elif isinstance(cv, Iterable) and not isinstance(cv, (str, bytes)):
        pairs = cv
    else:
        raise TypeError(f"cv must be an int, a splitter or an iterable of (train, test) pairs; got {cv!r}")
    folds = row_numbers(pairs, w)
    if len(folds) < 2:
        raise ValueError(f"cv must give at least two folds; got {len(folds)}")
    return folds


def row_numbers(pairs: Iterable[Any], w: Float) -> list[Fold]:
    """(train, test) pairs as a splitter gives them, each side with a row of positive weight."""
    n = len(w)
    try:
        folds = [(index("train", train, n), index("test", test, n)) for train, test in pairs]
    except TypeError as error:
        raise TypeError(f"cv must give (train, test) pairs of row numbers: {error}") from None
    for k, (train, test) in enumerate(folds):
        if not w[train].any() or not w[test].any():
            raise ValueError(f"fold {k} has no row of positive weight to {'test on' if w[train].any() else 'train on'}")
    return folds


def check_folds(folds: list[Fold], problem: Problem) -> None:
    """A response that no model can be fitted to may also be that of a training fold alone."""
    for k, (train, _) in enumerate(folds):
        w = np.zeros_like(problem.w)
        w[train] = problem.w[train]
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
