"""What the engine reads and proves on the problems of versus.py: no times, so that it may run beside other work.

    [REGFAST_DEBUG_AUDIT=1] python benchmarks/reads.py [PROBLEM ...]

For each problem, a path of 100 α's at tol=1e-6: its statuses and worst certified gap; entries of X read, in units of X,
in all and to check the columns outside the working set; and whether each support is that of a path at tol=1e-12.
With the audit on, an α at which the bounds were wrong raises AssertionError.
"""

import sys
from typing import Any

import numpy as np
from benchmarks.peers import FAMILIES, make

from regfast.blas import single_threaded
from regfast.condense import condense
from regfast.path import prepare
from regfast.problem import start


def path_of(problem: Any, tol: float) -> tuple[Any, Any, Any]:
    """(supports, statuses, gaps) of a path, as `fit_path(standardize=False)` has them; the first two by α."""
    import regfast

    path = regfast.fit_path(problem.X, problem.y, alphas=problem.alphas, l1_ratio=problem.l1_ratio, standardize=False,
                            tol=tol)
    return np.split(path.coefs.indices, path.coefs.indptr[1:-1]), path.status, path.gaps


def reads_of(problem: Any, tol: float) -> tuple[float, float]:
    """Reads of X in all, and those that check columns outside the working set."""
    whole = prepare(problem.X, problem.y, l1_ratio=problem.l1_ratio, standardize=False, solves=len(problem.alphas))
    small = condense(whole)
    fit = small.fit()
    null = start(small, fit)
    with single_threaded():
        fit.run(problem.alphas, tol, 100_000, False, null.total, None)
    share = small.data.design.entries / whole.data.design.entries
    return float(small.passes(np.float64(fit.n_passes), whole)), fit.checked / small.data.design.entries * share


def main() -> None:
    for name in sys.argv[1:] or FAMILIES:
        problem = make(name)
        supports, status, gaps = path_of(problem, 1e-6)
        exact = path_of(problem, 1e-12)[0]
        same = sum(np.array_equal(a, b) for a, b in zip(supports, exact, strict=True))
        everything, checks = reads_of(problem, 1e-6)
        print(f"{name}: {', '.join(sorted(set(status)))}; worst gap {gaps.max():.1e}; {everything:.1f} reads of X, "
              f"{checks:.1f} of them checks; {same} of {len(gaps)} supports as at 1e-12", flush=True)


if __name__ == "__main__":
    main()
