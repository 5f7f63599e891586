"""The two textbook algorithms in plain Python: gradient descent (ridge) and coordinate descent (elastic net).

Slow and obvious on purpose. Nothing here is shared with the compiled engine, so the tests can ask it for a
second opinion, and the benchmarks how much faster the engine is. docs/objective.md derives the formulas;
`regfast.reference_logistic` has the same descent for another loss.
``python -m regfast.reference`` runs the teaching example.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Vector = Sequence[float]
CHECK_EVERY = 5  # sweeps between two looks at the duality gap, which costs about as much as a sweep


def ridge_gradient_descent(
    X: Any, y: Any, *, lam: float = 0.0, rate: float = 0.1, epochs: int = 1000, verbose: bool = False
) -> tuple[list[float], float]:
    """Ridge regression by batch gradient descent from zero, bias not penalised. Returns (weights, bias).

    It minimises J = (1/2m) Σ_i (bias + x_i·w − y_i)² + (lam/2) Σ_j w_j² over the m rows (x_i, y_i): regfast's
    objective with ``alpha=lam, l1_ratio=0``; `regfast.conventions` translates it to the other usual forms.
    X is (m, p), y is (m,). `rate` must stay below 2 / (largest eigenvalue of the Hessian); ArithmeticError if
    the iterates diverge. `verbose` prints J every 100 epochs; an epoch is one step, with all the rows.
    """
    rows, y = [[float(x) for x in row] for row in X], vector_of("y", y, len(X))
    m, p = len(rows), len(rows[0])
    weights, bias = [0.0] * p, 0.0
    errors = [-t for t in y]
    for epoch in range(1, epochs + 1):
        slopes = [inner(errors, [row[j] for row in rows]) / m + lam * weights[j] for j in range(p)]
        weights = [w - rate * slope for w, slope in zip(weights, slopes, strict=True)]
        bias -= rate * sum(errors) / m
        errors = [bias + inner(weights, row) - t for row, t in zip(rows, y, strict=True)]
        if max(map(abs, errors)) > 1e100:
            raise ArithmeticError(f"rate={rate} is too large for these data: gradient descent diverges")
        if verbose and epoch % 100 == 0:
            loss = inner(errors, errors) / (2 * m) + lam / 2 * inner(weights, weights)
            print(f"epoch {epoch:5d}   loss {loss:.6f}")
    return weights, bias


def teaching_data(seed: int = 0) -> tuple[list[list[float]], list[float]]:
    """100 points of y = 3x + 2 + noise: X (100, 1) uniform on [0, 2], noise of standard deviation 0.1."""
    rng = random.Random(seed)
    X = [[rng.uniform(0.0, 2.0)] for _ in range(100)]
    return X, [3.0 * x + 2.0 + rng.gauss(0.0, 0.1) for (x,) in X]


def teaching_example(seed: int = 0) -> tuple[float, float]:
    """Fit `teaching_data` by 1000 epochs at rate 0.1; print the loss on the way and the line; return it."""
    (weight,), bias = ridge_gradient_descent(*teaching_data(seed), rate=0.1, epochs=1000, verbose=True)
    print(f"weight {weight:.4f}   bias {bias:.4f}   (the data were made with weight 3 and bias 2)")
    return weight, bias


def soft_threshold(z: float, t: float) -> float:
    """argmin over b of ½(b − z)² + t|b|: move z towards zero by t, and stop at zero."""
    return z - t if z > t else z + t if z < -t else 0.0


class Fit(NamedTuple):
    """What coordinate descent found: coefficients (p,), intercept, certified relative gap, sweeps made."""

    coef: list[float]
    intercept: float
    gap: float
    epochs: int


def coordinate_descent(
    X: Any, y: Any, *, alpha: float, l1_ratio: float = 1.0, sample_weight: Any = None,
    fit_intercept: bool = True, standardize: bool = False, penalty_factors: Any = None, bounds: Any = None,
    offset: Any = None, tol: float = 1e-4, max_epochs: int = 10_000, coef: Any = None,
) -> Fit:  # fmt: skip
    """The elastic net by cyclic coordinate descent with soft-thresholding: minimise over b0 and lo <= b <= hi

        Σ_i w_i ½(y_i − o_i − b0 − x_i·b)² / Σ_i w_i
            + alpha Σ_j v_j [l1_ratio s_j|b_j| + (1 − l1_ratio)/2 s_j² b_j²],

    s_j being 1, or with `standardize` the weighted standard deviation of column j. It stops when the relative
    gap (P − D) / P_null is at most `tol`; if `max_epochs` come first, the gap returned says how good it is.

    X is (n, p) as rows, array or SciPy sparse matrix, or p columns ``(indices, values)``; y, `sample_weight`
    (w) and `offset` (o) are (n,); `penalty_factors` (v: 0 free, inf excluded) and the warm start `coef` (p,);
    `bounds` is (lo, hi), numbers or (p,). ValueError names an argument out of range or of the wrong length.
    Source: Friedman, Hastie, Tibshirani (2010), Journal of Statistical Software 33(1), section 2.
    """
    penalty = (alpha, l1_ratio, standardize, penalty_factors, bounds)
    return Problem(X, y, sample_weight, offset, fit_intercept, *penalty).descend(coef, tol, max_epochs)


def path(
    X: Any, y: Any, alphas: Iterable[float], *, solve: Callable[..., Fit] = coordinate_descent, **options: Any
) -> list[Fit]:
    """`solve` at each alpha in turn, started from the fit before; `options` are passed to it."""
    entries, fits = columns_of(X), list[Fit]()
    for alpha in alphas:
        fits.append(solve(entries, y, alpha=alpha, **options))
        options["coef"] = fits[-1].coef
    return fits


class Column(NamedTuple):
    """A feature as the sweep sees it: stored entries, moments, penalty l1|b| + l2 b²/2, low <= b <= high."""

    rows: Sequence[int] = ()
    values: Vector = ()
    mean: float = 0.0  # Σ w x; 0 when no intercept is fitted
    curvature: float = 0.0  # Σ w (x − mean)²; 0 marks a coefficient that stays 0
    l1: float = 0.0
    l2: float = 0.0
    low: float = 0.0
    high: float = 0.0
    free: bool = False  # the penalty factor is 0

    def room(self, u: float) -> float:
        """How far b can go in the direction of u."""
        return self.high if u > 0.0 else -self.low

    def fenchel_young(self, b: float, u: float) -> float:
        """pen(b) + pen*(u) − ub >= 0, where pen*(u) is the maximum of uz − pen(z) over low <= z <= high."""
        excess, room = max(0.0, abs(u) - self.l1), self.room(u)
        z = min(excess / self.l2, room) if self.l2 else 0.0 if room == math.inf else room  # |z| at the max
        return self.l1 * abs(b) + self.l2 / 2 * b * b + (excess - self.l2 / 2 * z) * z - u * b


class Problem:
    """Where coordinate descent stands. `errors` are e = y − o − Xb *without* the intercept, so a step along a
    sparse column touches only its stored rows; the intercept is always at its best value, the mean of e."""

    def __init__(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, fit_intercept: bool,
        alpha: float, l1_ratio: float, standardize: bool, penalty_factors: Any, bounds: Any,
    ) -> None:  # fmt: skip
        if not (0.0 <= alpha < math.inf and 0.0 <= l1_ratio <= 1.0):
            raise ValueError(f"want alpha >= 0 and l1_ratio in [0, 1], got {alpha=}, {l1_ratio=}")
        entries, inf = columns_of(X), math.inf
        n, p = len(y), len(entries)
        y, offset = vector_of("y", y, n), vector_of("offset", offset, n)
        weights = vector_of("sample_weight", sample_weight, n, 1.0, low=0.0)
        if not 0.0 < math.fsum(weights) < inf:
            raise ValueError("sample_weight must be finite and not all zero")
        self.weights = [w / math.fsum(weights) for w in weights]
        target = [t - o for t, o in zip(y, offset, strict=True)]
        self.level = max(zip(weights, target, strict=True))[1] if fit_intercept else 0.0
        self.target = [t - self.level for t in target]  # exactly 0 if y is constant
        factors = vector_of("penalty_factors", penalty_factors, p, 1.0, low=0.0)
        low, high = (-inf, inf) if bounds is None else bounds
        lows, highs = vector_of("bounds[0]", low, p, high=0.0), vector_of("bounds[1]", high, p, low=0.0)
        self.fit_intercept, self.cols, self.coef = fit_intercept, list[Column](), [0.0] * p
        for (rows, values), v, low, high in zip(entries, factors, lows, highs, strict=True):
            if isinstance(rows, range) and len(rows) != n:
                raise ValueError(f"X has {len(rows)} rows, y has {n}")
            at = [self.weights[i] for i in rows]
            mean = inner(at, values)
            spread = [x - mean for x in values]
            zeros = 0.0 if isinstance(rows, range) else max(0.0, 1.0 - math.fsum(at))  # weight of the rest
            variance = inner(at, spread, spread) + zeros * mean * mean
            variance = variance if variance > (1e-14 * mean) ** 2 else 0.0  # constant but for rounding
            s = math.sqrt(variance) or 1.0 if standardize else 1.0
            mean, curvature = (mean, variance) if fit_intercept else (0.0, variance + mean * mean)
            l1, l2 = (0.0, 0.0) if v == inf else (alpha * v * l1_ratio * s, alpha * v * (1.0 - l1_ratio) * s * s)
            column = Column(rows, values, mean, curvature, l1, l2, low, high, v == 0.0)
            self.cols.append(column if curvature and v < inf else Column())
        start = self.residual()
        null = self.without([col for col in self.cols if col.free], start)  # intercept and free columns only
        self.null = max(self.norm2(null), 1e-20 * self.norm2(start), 1e-300) / 2  # one divides by it

    def descend(self, coef: Any, tol: float, max_epochs: int) -> Fit:
        """Sweep from `coef` until the relative gap is at most `tol`, or `max_epochs` times."""
        coef, epochs = vector_of("coef", coef, len(self.cols)), 0
        self.coef = [min(max(b, col.low), col.high) for b, col in zip(coef, self.cols, strict=True)]
        while True:
            gap = self.relative_gap()
            if gap <= tol or epochs >= max_epochs:
                return Fit(self.coef, self.level + self.intercept, gap, epochs)
            for _ in range(min(CHECK_EVERY, max_epochs - epochs)):
                self.sweep()
                epochs += 1

    def residual(self) -> list[float]:
        """Compute errors and intercept afresh, so that rounding cannot pile up; return r = e − intercept."""
        self.errors = list(self.target)
        for col, b in zip(self.cols, self.coef, strict=True):
            for i, x in zip(col.rows, col.values, strict=True) if b else ():
                self.errors[i] -= b * x
        self.intercept = inner(self.weights, self.errors) if self.fit_intercept else 0.0
        return [e - self.intercept for e in self.errors]

    def slope(self, col: Column, errors: Vector, intercept: float = 0.0) -> float:
        """Σ_i w_i x_i r_i, r = errors − intercept. No need to centre x: r has mean zero."""
        w = self.weights
        return sum(w[i] * x * (errors[i] - intercept) for i, x in zip(col.rows, col.values, strict=True))

    def sweep(self) -> None:
        """Set each coefficient in turn to its best value, the others held, the intercept following."""
        for j, col in enumerate(self.cols):
            if col.curvature:
                z = self.slope(col, self.errors, self.intercept) + col.curvature * self.coef[j]
                best = soft_threshold(z, col.l1) / (col.curvature + col.l2)
                step = min(max(best, col.low), col.high) - self.coef[j]
                self.coef[j] += step
                self.intercept -= step * col.mean
                for i, x in zip(col.rows, col.values, strict=True) if step else ():
                    self.errors[i] -= step * x

    def relative_gap(self) -> float:
        """(P − D) / P_null, where P − D bounds how far P(b) is above its minimum.

        The dual point starts from the residual, less its part along the columns that nothing holds (no penalty,
        no bound on the side they pull to), for those need slope 0.
        """
        residual = self.residual()
        slopes = [self.slope(col, residual) for col in self.cols]
        loose = [c.l1 == c.l2 == 0 and c.room(u) == math.inf for c, u in zip(self.cols, slopes, strict=True)]
        point = self.without(list(itertools.compress(self.cols, loose)), residual)
        slopes = [0.0 if out else self.slope(col, point) for col, out in zip(self.cols, loose, strict=True)]

        def missing(scale: float) -> float:
            return self.norm2([r - scale * q for r, q in zip(residual, point, strict=True)]) / 2

        return self.better_dual(slopes, missing)

    def better_dual(self, slopes: Vector, missing: Callable[[float], float]) -> float:
        """The relative gap at a dual point of these slopes, scaled until it is feasible; the better of two duals.

        `missing` is what the loss adds at a scale. Dual B takes the elastic-net penalty as it is; dual A takes
        its L2 part as extra rows √l2_j of data with target 0, where the residual is −√l2_j b_j.
        """
        whole = list(zip(self.cols, self.coef, slopes, strict=True))  # dual B
        joined = [(c._replace(l2=0.0), b, u - c.l2 * b) for c, b, u in whole]  # dual A
        gaps = []
        for terms, extra in (whole, 0.0), (joined, sum(c.l2 * b * b for c, b, _ in whole)):
            held = [(c.l1, abs(u)) for c, _, u in terms if not c.l2 and c.room(u) == math.inf]
            scale = min([1.0, *(l1 / u for l1, u in held if u > l1)])  # the largest that is dual feasible
            loss = missing(scale) + (1.0 - scale) ** 2 * extra / 2
            gaps.append(loss + sum(c.fenchel_young(b, scale * u) for c, b, u in terms))
        return max(0.0, min(gaps)) / self.null

    def without(self, cols: list[Column], residual: Vector) -> list[float]:
        """The residual minus its projection on the centred columns, by Gram–Schmidt with weights w."""
        vectors, basis = [[-col.mean] * len(residual) for col in cols], list[list[float]]()
        for col, vector in zip(cols, vectors, strict=True):
            for i, x in zip(col.rows, col.values, strict=True):
                vector[i] += x
        for vector in [*vectors, list(residual)]:
            before = self.norm2(vector)
            for unit in basis:
                along = inner(self.weights, vector, unit)
                vector = [x - along * u for x, u in zip(vector, unit, strict=True)]
            after = self.norm2(vector)
            if after > 1e-20 * before:  # else it depends on the vectors before it
                basis.append([x / math.sqrt(after) for x in vector])
        return vector

    def norm2(self, vector: Vector) -> float:
        return inner(self.weights, vector, vector)


def columns_of(X: Any) -> list[tuple[Sequence[int], Vector]]:
    """The columns of X as ``(indices, values)``: the rows they are stored in and the values there.

    X: rows of numbers (lists or a NumPy array; every entry is stored), a SciPy sparse matrix or array of any
    format (only what it stores, duplicates summed), or such a list of columns already, returned as it is.
    """
    if hasattr(X, "tocsc"):
        X = X.tocsc(copy=True)
        X.sum_duplicates()
        ends, rows, values = X.indptr.tolist(), X.indices.tolist(), X.data.astype(float).tolist()
        return [(rows[a:b], values[a:b]) for a, b in itertools.pairwise(ends)]
    if all(isinstance(column, tuple) and hasattr(column[0], "__len__") for column in X):
        return list(X)
    if len({len(row) for row in X}) != 1:
        raise ValueError("X must be rows of one length, or columns (indices, values)")
    return [(range(len(X)), [float(x) for x in column]) for column in zip(*X, strict=True)]


def vector_of(
    name: str, value: Any, n: int, default: float = 0.0, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """`value`, which may be one number for all or None for the default, as n floats in [low, high]."""
    value = default if value is None else value
    vector = [float(x) for x in value] if hasattr(value, "__len__") else [float(value)] * n
    if len(vector) != n or not all(low <= x <= high for x in vector):
        raise ValueError(f"{name} must be {n} numbers in [{low}, {high}], got {value!s:.60}")
    return vector


def inner(*vectors: Vector) -> float:
    """The sum over i of the products of the i-th entries."""
    return math.fsum(map(math.prod, zip(*vectors, strict=True)))


if __name__ == "__main__":
    teaching_example()
