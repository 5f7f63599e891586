"""Information criteria along a path: the likelihood of each model against what its parameters cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import families
from .validation import Float

if TYPE_CHECKING:
    from .result import Path

KINDS = ("aic", "bic", "ebic")
NAMES = (*KINDS, *(f"refitted {kind}" for kind in KINDS))
GIVE = "give X and y (and sample_weight, offset if the fit had them)"


class Criteria(NamedTuple):
    """What it takes the data to know of a path's models; see `Path.criteria`.

    Attributes
    ----------
    df : (n_alphas,) float64
        Degrees of freedom, the intercept included: trace of the hat matrix on the active set.
    alo : (n_alphas,) float64
        Approximate leave-one-out deviance, weighted mean over the rows; ∞ where a row alone determines a coefficient.
    refitted : (n_alphas,) float64
        Weighted mean deviance of the model refitted without a penalty to the columns selected; ∞ where that has no
        finite maximum or as many parameters as rows.
    """

    df: Float | NDArray[np.int64]
    alo: Float
    refitted: Float


def information(path: Path, name: str, known: Criteria | None = None) -> Float:
    """(n_alphas,) a criterion of `NAMES` for each α, ∞ for models that are saturated.

    Raises
    ------
    ValueError
        It needs `known`, or every model is saturated.
    """
    kind = name.rsplit(" ")[-1]
    n, p, C = path.n_samples, len(path.scales), len(path.outputs)
    free = intercepts(path)
    df: Float | NDArray[np.int64]
    if name != kind:
        if known is None:
            raise ValueError(f"{name!r} refits the models to the data: {GIVE}")
        deviance, df, k = known.refitted, path.n_nonzero * C + free, path.n_nonzero
    else:
        if known is None and (what := traced(path)):
            raise ValueError(f"{name!r} with {what} needs the data: degrees of freedom are a trace then; {GIVE}")
        p, k = p * C, path.n_coefs
        deviance = (1 - path.deviance_ratio) * path.null_deviance
        df = k + free
        if known is not None and traced(path):
            df = known.df
    family = families.get(path.family)
    size = n if family.known_scale else n * C  # squared error takes one variance for all responses
    deviance = np.maximum(deviance, np.finfo(float).tiny)
    score = size * (deviance if family.known_scale else np.log(deviance)) + (2 if kind == "aic" else np.log(size)) * df
    if kind == "ebic":
        from scipy.special import gammaln

        score = score + 2 * (gammaln(p + 1) - gammaln(k + 1) - gammaln(p - k + 1))
    score = np.where(df < n * C, score, np.inf)  # a saturated model interpolates: its likelihood says nothing
    if not np.isfinite(score).any():
        raise ValueError(f"every model of the path has at least {n * C} parameters; no criterion applies")
    return np.asarray(score)


def traced(path: Path) -> str:
    """Why degrees of freedom are not the number of non-zeros; "" where they are."""
    if path.dropout:
        return "dropout"
    if path.l1_ratio < 1:
        return "l1_ratio < 1"
    if path.grouped:
        return "grouped coefficients"
    sides = np.concatenate(path.bounds) if path.bounds is not None else np.zeros(0)
    return "bounds that may hold coefficients" if (np.isfinite(sides) & (sides != 0)).any() else ""


def intercepts(path: Path) -> int:
    """How many are free: of C classes C − 1, for only their differences matter."""
    C = len(path.outputs)
    return int(path.fit_intercept) * (C - int(C > 1 and path.classes_ is not None))
