"""Status codes of the kernels, worded once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATUS = ("converged", "max_iter", "rounding", "separated", "interrupted", "no_memory")
"""Words for the codes in ``src/_state.pxd``, in their order."""

OK, MAX_ITER, ROUNDING, SEPARATED, INTERRUPTED, NO_MEMORY = range(6)

WORDS = np.array(STATUS[:INTERRUPTED])
"""Those of an α that was solved, to be indexed by many codes at a time."""

ADVICE = {
    "max_iter": "raise max_iter or tol, or drop (nearly) collinear columns",
    "rounding": "float64 ends here: raise tol",
    "not_convex": "dropout's second order vanishes where rows are nearly certain, and no stationary point is near: "
                  "lower dropout, or end the path sooner",
    "separated": "columns without penalty predict y perfectly, so that their coefficients have no finite value: "
                 "penalise them or leave them out",
}


class InvalidParameterError(ValueError, TypeError):
    """A parameter of an estimator is not what it must be; as in scikit-learn, both a ValueError and a TypeError."""


def attach(error: BaseException, partial: Any, *, instead: bool = False) -> None:
    """`error.partial` is what was done before it came, unless something further in has said so (`instead`: even so)."""
    if instead or getattr(error, "partial", None) is None:
        vars(error)["partial"] = partial


def warn_not_converged(alphas: NDArray[np.float64], gaps: NDArray[np.float64], status: Sequence[str], kind: str,
                       tol: float) -> None:
    """Emit one ConvergenceWarning that names every α that missed `tol`, or nothing."""
    missed = [k for k, word in enumerate(status) if word in ADVICE]
    if not missed:
        return
    from sklearn.exceptions import ConvergenceWarning

    shown = "; ".join(f"alpha={alphas[k]:.6g}: {gaps[k]:.2g} ({status[k]})" for k in missed[:5])
    more = f" and {len(missed) - 5} more" if len(missed) > 5 else ""
    advice = ", or ".join(ADVICE[word] for word in ADVICE if word in {status[k] for k in missed})
    short = any(status[k] == "max_iter" for k in missed)
    opening = "Objective did not converge. You might want to increase the number of iterations. " if short else ""
    warnings.warn(
        f"{opening}{len(missed)} of {len(alphas)} alphas did not reach tol={tol:g} (relative {kind}): {shown}{more}. "
        f"The best iterates are returned with their true {kind}; {advice}.",
        ConvergenceWarning, stacklevel=3)
