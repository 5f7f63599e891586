"""Logistic regression with the elastic net in plain Python: coordinate descent, each step Newton's in one variable.

The same descent as in `regfast.reference`, and the same certificate; only the loss is another. Slow and obvious on
purpose: nothing here is shared with the compiled engine.
"""

import math
from typing import Any

from .reference import Fit, Problem, Vector, inner, soft_threshold, vector_of

FAR = 700.0  # e^η is finite up to here
STEPS = 100  # Newton's for the intercept, at most


def logistic_coordinate_descent(
    X: Any, y: Any, *, alpha: float, l1_ratio: float = 1.0, sample_weight: Any = None, fit_intercept: bool = True,
    standardize: bool = False, tol: float = 1e-4, max_epochs: int = 10_000, coef: Any = None,
) -> Fit:  # fmt: skip
    """Logistic regression by cyclic coordinate descent: minimise over b0 and b

        Σ_i w_i [log(1 + e^η_i) − y_i η_i] / Σ_i w_i  +  alpha Σ_j [l1_ratio s_j|b_j| + (1 − l1_ratio)/2 s_j² b_j²]

    with η = b0 + Xb; s_j as in `regfast.reference.coordinate_descent`. It stops when the relative gap
    (P − D) / P_null is at most `tol`; if `max_epochs` come first, the gap returned says how good it is.

    X is (n, p) in any form that `regfast.reference.columns_of` reads; y (n,) lies in [0, 1], `sample_weight` (w) is
    (n,), the warm start `coef` (p,); alpha > 0, as nothing proves a solution without a penalty. ValueError names an
    argument out of range or of the wrong length. `regfast.reference.path` takes this function as its `solve`.
    Source: Yuan, Chang, Hsieh, Lin (2010), Journal of Machine Learning Research 11, section 4.1.2.
    """
    if not alpha > 0.0:
        raise ValueError(f"want alpha > 0, got {alpha=}")
    penalty = (alpha, l1_ratio, standardize)
    return _Logistic(X, y, sample_weight, fit_intercept, *penalty).descend(coef, tol, max_epochs)


def mean_of(eta: float) -> float:
    """1 / (1 + e^−η): the probability of y = 1."""
    return 1.0 / (1.0 + math.exp(-min(max(eta, -FAR), FAR)))


def divergence(m: float, eta: float) -> float:
    """Half the deviance of m from the mean at η: m log(m/μ) + (1 − m) log((1 − m)/(1 − μ)), 0 log 0 being 0."""
    return sum(x * math.log(x / z) for x, z in ((m, mean_of(eta)), (1.0 - m, mean_of(-eta))) if x > 0.0)


class _Logistic(Problem):
    """Where the descent stands: `eta` is Xb *without* the intercept, so a step along a sparse column touches only its
    stored rows. Dense columns are centred at the door, or each step would also have to do the intercept's work."""

    def __init__(
        self, X: Any, y: Any, sample_weight: Any, fit_intercept: bool, alpha: float, l1_ratio: float, standardize: bool
    ) -> None:
        super().__init__(X, y, sample_weight, None, fit_intercept, alpha, l1_ratio, standardize, None, None)
        self.y = vector_of("y", y, len(y), low=0.0, high=1.0)
        share = inner(self.weights, self.y)
        if fit_intercept and not 0.0 < share < 1.0:
            raise ValueError(f"y must not be all 0 or all 1: the intercept would be infinite; its mean is {share}")
        null = math.log(share / (1.0 - share)) if fit_intercept else 0.0
        self.null = max(inner(self.weights, [divergence(t, null) for t in self.y]), 1e-20)  # one divides by it
        self.means = [col.mean if isinstance(col.rows, range) else 0.0 for col in self.cols]
        self.cols = [col._replace(values=[x - mean for x in col.values])
                     for col, mean in zip(self.cols, self.means, strict=True)]  # fmt: skip
        self.far = [1.0 / max(map(abs, col.values), default=1.0) if col.curvature else 0.0 for col in self.cols]
        self.intercept = null

    def derivatives(self, rows: Any, values: Vector) -> tuple[float, float]:
        """Minus the first and plus the second derivative of the loss along a column of these entries."""
        slope = bend = 0.0
        for i, x in zip(rows, values, strict=True):
            mean, w = mean_of(self.eta[i] + self.intercept), self.weights[i]
            slope += w * x * (self.y[i] - mean)
            bend += w * x * x * mean * (1.0 - mean)
        return slope, bend

    def sweep(self) -> None:
        """A step for the intercept, then one for each coefficient, the others held.

        It is Newton's in one variable: the minimum of slope, curvature and penalty. Cut where it would move a row's η
        by more than 1 it always lowers the objective, with no line search: |ℓ'''| <= ℓ'', so that the loss rises above
        its quadratic model ½ℓ''d² by no more than (e^|d| − 1 − |d| − d²/2) ℓ'', less than ¼ℓ''d² for |d| <= 1.
        """
        self.move_intercept(1)
        for j, (col, far) in enumerate(zip(self.cols, self.far, strict=True)):
            if col.curvature:
                slope, bend = self.derivatives(col.rows, col.values)
                best = soft_threshold(slope + bend * self.coef[j], col.l1) / (bend + col.l2)
                step = min(max(best - self.coef[j], -far), far)
                self.coef[j] += step
                for i, x in zip(col.rows, col.values, strict=True) if step else ():
                    self.eta[i] += step * x

    def move_intercept(self, steps: int) -> None:
        """Newton's steps, cut in the same way, until they are lost in rounding."""
        ones = [1.0] * len(self.eta)
        for _ in range(steps if self.fit_intercept else 0):
            slope, bend = self.derivatives(range(len(ones)), ones)
            step = min(max(slope / bend, -1.0), 1.0)
            self.intercept += step
            if abs(step) <= 1e-16 * (1.0 + abs(self.intercept)):
                return

    def relative_gap(self) -> float:
        """(P − D) / P_null at the dual point s(y − μ), for which the loss adds the divergence of (1 − s) y + s μ."""
        self.eta = [0.0] * len(self.y)
        for col, b in zip(self.cols, self.coef, strict=True):
            for i, x in zip(col.rows, col.values, strict=True) if b else ():
                self.eta[i] += b * x
        self.move_intercept(STEPS)
        self.level = -inner(self.means, self.coef)
        etas = [eta + self.intercept for eta in self.eta]
        residual = [t - mean_of(eta) for t, eta in zip(self.y, etas, strict=True)]

        def missing(scale: float) -> float:
            points = [t - scale * r for t, r in zip(self.y, residual, strict=True)]
            return inner(self.weights, [divergence(m, eta) for m, eta in zip(points, etas, strict=True)])

        return self.better_dual([self.slope(col, residual) for col in self.cols], missing)
