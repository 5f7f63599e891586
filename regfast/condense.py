"""Many rows, few columns: p + 1 rows that say all that X and y say about a squared error.

With G = X̃'WX̃ + εI = R'R the Gram of the centred columns, z = R'⁻¹ X̃'Wỹ and ρ² = ỹ'Wỹ − z'z,

    ½ Σ w (y − b0 − Xb)²  =  ½ ‖z − Rb‖² + ½ ρ²      (b0 at its best)

so that the same engine runs on R instead of X. Correlations and gaps are those of X up to the rounding of G, a few
times that of reading X. ε, of the order of that rounding, keeps R regular where columns depend on each other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.linalg
from scipy.linalg.lapack import dpotrf

from ._design import dense
from ._moments import products
from .blas import single_threaded
from .problem import EPS, Problem
from .validation import Data

DEPENDENT = 1e-4
"""Where columns are nearer than this to depending on others and nothing keeps them small, or where they are far from
zero and not centred, only X itself has the digits to fit them."""


def condense(problem: Problem) -> Problem:
    """An equivalent problem of p + 1 rows, for a problem that has the Gram of its columns; another one as it is."""
    if problem.square is None:
        return problem
    used = np.flatnonzero((problem.curvature > 0) & np.isfinite(problem.l1))
    used = np.union1d(used, problem.block) if problem.block.size else used
    p, all_columns = len(used), problem.data.design.p
    mean_y = float(problem.w @ problem.y) if problem.intercept else 0.0
    centred = problem.y - mean_y
    pull = problem.pull
    if pull is None:
        pull = np.empty(all_columns)
        products(problem.data.design, (problem.w * centred)[None], pull[None], problem.mean)
    size = np.sqrt(problem.curvature[used])
    G = problem.square[np.ix_(used, used)] / size / size[:, None]
    with single_threaded():
        for rounding in (64, 256, 1024):
            R, info = dpotrf(G + rounding * EPS * np.eye(p), lower=0)
            if info == 0:
                break
        fragile = problem.block.size or problem.loose.size or not problem.intercept
        if info != 0 or (fragile and np.diagonal(R).min(initial=1.0) < DEPENDENT):
            return problem
        z = scipy.linalg.solve_triangular(R, pull[used] / size, trans="T", check_finite=False)
    rows = np.zeros((p + 1, all_columns), order="F")
    rows[:p, used] = R * (size * np.sqrt(p + 1))
    rest = max(float(problem.w @ centred**2 - z @ z), 0.0)
    response = np.append(z, np.sqrt(rest)) * np.sqrt(p + 1)
    return replace(problem, data=Data(dense(rows), rows, problem.data.names), y=response,
                   w=np.full(p + 1, 1 / (p + 1)), intercept=False, mean=np.zeros_like(problem.mean),
                   centre=(problem.mean, mean_y), square=None, pull=None)
