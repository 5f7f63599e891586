"""regfast's estimators under scikit-learn's own import lines.

    python -m regfast.patch script.py [argument ...]
    python -m regfast.patch -m module [argument ...]

runs a program that imports them from `sklearn.linear_model`; `patch_sklearn` does so inside one.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterable
from importlib import import_module
from threading import RLock
from typing import Any

CLASSES = ("Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV",
           "MultiTaskElasticNet", "MultiTaskElasticNetCV", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV",
           "LogisticRegression", "LogisticRegressionCV", "PoissonRegressor", "GammaRegressor", "TweedieRegressor")
"""Estimators that both libraries have."""

NAMES = (*CLASSES, "lasso_path", "enet_path")

_lock = RLock()
_replaced: dict[str, Any] = {}


def patch_sklearn(names: str | Iterable[str] | None = None) -> None:
    """Put regfast's estimators and path functions into `sklearn.linear_model`.

    After it ``from sklearn.linear_model import Lasso`` gives `regfast.Lasso`. Calling it again changes nothing.

    Parameters
    ----------
    names : str or iterable of str, optional
        Which of them; None: all that regfast has.

    Raises
    ------
    ValueError
        A name that regfast does not have.

    Notes
    -----
    Names are bound when they are imported: a module that has run ``from sklearn.linear_model import Lasso`` before
    keeps scikit-learn's, and so do parts of scikit-learn that were imported before and use them inside, such as the
    default final estimators of stacking. Patch first, then import, or run the program by ``python -m regfast.patch``.
    Objects that exist already, pickles of scikit-learn's estimators and the worker processes of a pool that has
    started are left alone; estimators sent to workers are regfast's there too.
    """
    import sklearn.linear_model as theirs

    import regfast

    with _lock:
        for name in _checked(names):
            if name not in _replaced:
                _replaced[name] = getattr(theirs, name)
                setattr(theirs, name, getattr(regfast, name))


def unpatch_sklearn(names: str | Iterable[str] | None = None) -> None:
    """Put scikit-learn's own back; parameters as in `patch_sklearn`. What is not patched is left alone."""
    import sklearn.linear_model as theirs

    with _lock:
        for name in _checked(names):
            if name in _replaced:
                setattr(theirs, name, _replaced.pop(name))


def original(name: str) -> Any:
    """scikit-learn's own, patched or not."""
    import sklearn.linear_model as theirs

    with _lock:
        return _replaced.get(name, getattr(theirs, name))


def _checked(names: str | Iterable[str] | None) -> list[str]:
    given = list(NAMES) if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in given if name not in NAMES]
    if unknown:
        raise ValueError(f"names must be among {', '.join(NAMES)}; got {unknown}")
    return given


def main(argv: list[str]) -> int:
    """Run a program with scikit-learn patched; its exit code is that of the process."""
    is_module = argv[:1] == ["-m"]
    rest = argv[1:] if is_module else argv
    if not rest or rest[0].startswith("-"):
        print((__doc__ or "").strip(), file=sys.stdout if rest[:1] in (["-h"], ["--help"]) else sys.stderr)
        return 0 if rest[:1] in (["-h"], ["--help"]) else 2
    patch_sklearn()
    sys.argv = rest
    if is_module:
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))
        runpy.run_path(rest[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(import_module("regfast.patch").main(sys.argv[1:]))  # `regfast.patch_sklearn`'s module, not this copy
