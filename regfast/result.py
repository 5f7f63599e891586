"""Results: data and arithmetic. They never hold X."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import families
from .equivalents import Code, equivalent
from .information import Criteria
from .predictor import linear_predictor
from .rules import on_path, parse
from .statement import Statement
from .validation import Float, as_data, vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

Names = NDArray[np.object_]
Kind = Literal["response", "link", "class"]


@dataclass(frozen=True, eq=False, repr=False)
class Path:
    """A regularisation path: one certified solution per α.

    Attributes
    ----------
    alphas : (n_alphas,) float64
        Penalty strengths, descending and unique.
    coefs : csc_array (p, n_alphas)
        Coefficients on the scale of the data.
    intercepts : (n_alphas,) float64
    deviance_ratio : (n_alphas,) float64
        Share of the deviance of the intercept-only model (with offset) that is explained.
    n_nonzero : (n_alphas,) int64
    gaps : (n_alphas,) float64
        Certified measure of optimality from a fresh residual, of the kind `gap_kind`.
    gap_kind : str
        "duality gap": (primal − dual) / P_null; "kkt residual" where no finite dual point exists: the largest violation
        of the optimality conditions, as a correlation.
    n_iter : (n_alphas,) int64
        Epochs of coordinate descent.
    n_passes : (n_alphas,) float64
        Entries of X read since the beginning of the path, whatever for, in units of all that X stores.
    status : (n_alphas,) str
        "converged", "max_iter", "rounding" (float64 ends above `tol`), "not_unique" (α = 0), or "not_convex" (no
        stationary point was found near the last one; dropout).
    path_status : str
        "complete", "saturated" or "flat" (an automatic grid that ended early), "constant" (y is), "interrupted".
    feature_names_in_ : (p,) object, or None
    classes_ : (2,) labels of a "binomial" fit, the second the one that probabilities are of; None for other responses
    l1_ratio, tol : float
    fit_intercept, standardize : bool
    family : str
    scales : (p,) float64
        Standard deviations of the columns; coefs × scales is free of units.
    alpha_max : float
        The smallest α at which every penalised coefficient is zero.
    n_samples : int
        Rows of positive weight; of a response of counts, what they add up to in those rows.
    null_deviance : float
        Weighted mean deviance of the intercept-only model.
    penalty_factors : (p,) float64, or None
    bounds : pair of (p,) float64, or None
    has_offset : bool
    """

    alphas: Float
    coefs: sp.csc_array
    intercepts: Float
    deviance_ratio: Float
    n_nonzero: NDArray[np.int64]
    gaps: Float
    gap_kind: str
    n_iter: NDArray[np.int64]
    n_passes: Float
    status: NDArray[np.str_]
    path_status: str
    feature_names_in_: Names | None
    classes_: NDArray[Any] | None
    l1_ratio: float
    tol: float
    fit_intercept: bool
    standardize: bool
    family: str
    scales: Float
    alpha_max: float
    n_samples: int
    null_deviance: float
    penalty_factors: Float | None
    bounds: tuple[Float, Float] | None
    has_offset: bool
    dropout: float = 0.0
    has_unlabeled: bool = False

    def __len__(self) -> int:
        return len(self.alphas)

    def __repr__(self) -> str:
        p, k = self.coefs.shape
        if not k:
            return f"Path(no alphas solved, {p} features, {self.path_status})"
        return (f"Path({k} alphas from {self.alphas[0]:.4g} to {self.alphas[-1]:.4g}, {p} features, "
                f"{self.n_nonzero[0]} to {self.n_nonzero[-1]} non-zero, {self._dropped}{self.path_status}, "
                f"worst {self.gap_kind} {self.gaps.max():.1e})")

    @property
    def _dropped(self) -> str:
        return f"dropout {self.dropout:g}{'' if self.convex else ', not convex'}, " if self.dropout else ""

    @property
    def convex(self) -> bool:
        """Whether what was minimised is convex; if not, `coefs` are stationary points, and there may be others."""
        exact = families.get(self.family).dropout == "exact"
        return self.dropout == 0 or self.family == "gaussian" or (exact and not self.has_unlabeled)

    # ---- between the grid points

    def _weights(self, alpha: float) -> tuple[int, int, float]:
        """(i, j, t) with α = (1 − t) α_i + t α_j."""
        a = self.alphas
        alpha = float(alpha)
        if not (np.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha must be finite and not negative; got {alpha}")
        if not len(a):
            raise ValueError("the path holds no solution")
        if alpha > a[0]:
            if a[0] >= self.alpha_max:
                return 0, 0, 0.0  # the null model, exactly
            raise ValueError(f"alpha={alpha:g} is above the path, which begins at {a[0]:g}: fit alphas=[{alpha:g}]")
        if alpha < a[-1]:
            raise ValueError(f"alpha={alpha:g} is below the path, which ends at {a[-1]:g}: fit alphas=[{alpha:g}]")
        j = int(np.searchsorted(-a, -alpha))
        if a[j] == alpha:
            return j, j, 0.0
        return j - 1, j, float((a[j - 1] - alpha) / (a[j - 1] - a[j]))

    def _exactly(self, alpha: float, X: Any, y: Any, **fit_args: Any) -> Path:
        from .path import fit_path

        if X is None or y is None:
            raise ValueError("exact=True solves anew: give X and y (and sample_weight, offset if the fit had them)")
        if self.has_offset and fit_args.get("offset") is None:
            raise ValueError("this path was fitted with an offset: exact=True needs offset=")
        if self.has_unlabeled and fit_args.get("X_unlabeled") is None:
            raise ValueError("this path was fitted with rows without a response: exact=True needs X_unlabeled= (and "
                             "unlabeled_weight=, if that was not 1)")
        return fit_path(X, y, alphas=[alpha], family=self.family, dropout=self.dropout, l1_ratio=self.l1_ratio,
                        tol=self.tol, fit_intercept=self.fit_intercept, standardize=self.standardize,
                        penalty_factors=self.penalty_factors, bounds=self.bounds, **fit_args)

    def coef_at(self, alpha: float, *, exact: bool = False, X: Any = None, y: Any = None, **fit_args: Any) -> Float:
        """Coefficients at any α, (p,).

        Parameters
        ----------
        alpha : float
            Within the path; above `alpha_max` the null model is meant.
        exact : bool
            False interpolates linearly between grid points (exact for the lasso between knots); True solves at α, for
            which `X`, `y` and whatever of `sample_weight` and `offset` the fit had are needed.

        Raises
        ------
        ValueError
            α lies outside the path, or exact=True without data.
        """
        if exact:
            return np.asarray(self._exactly(alpha, X, y, **fit_args).coefs[:, [0]].toarray()[:, 0])
        i, j, t = self._weights(alpha)
        return np.asarray((1 - t) * self.coefs[:, [i]].toarray()[:, 0] + t * self.coefs[:, [j]].toarray()[:, 0])

    def intercept_at(self, alpha: float, *, exact: bool = False, X: Any = None, y: Any = None,
                     **fit_args: Any) -> float:
        """Intercept at any α; as `coef_at`."""
        if exact:
            return float(self._exactly(alpha, X, y, **fit_args).intercepts[0])
        i, j, t = self._weights(alpha)
        return float((1 - t) * self.intercepts[i] + t * self.intercepts[j])

    # ---- use

    def linear(self, X: Any, alpha: float | None = None) -> Float:
        """Linear predictors without an offset, (n,) or (n, n_alphas), for the X of `as_data`."""
        return linear_predictor(X, *((self.coefs, self.intercepts) if alpha is None else
                                     (self.coef_at(alpha), self.intercept_at(alpha))))

    def predict(self, X: Any, alpha: float | None = None, offset: Any = None, kind: Kind = "response") -> Float:
        """Predictions for new rows: (n,) at one α, (n, n_alphas) for alpha=None.

        Parameters
        ----------
        X : (n, p) table or matrix
        alpha : float, optional
        offset : (n,), required if and only if the fit had one
        kind : {"response", "link", "class"}
            The mean (a probability, for "binomial"); the linear predictor; the more probable label.

        Raises
        ------
        ValueError
            X has another number of columns or other names, or `offset` is missing or not wanted.
        """
        known = ("response", "link") if self.classes_ is None else ("response", "link", "class")
        if kind not in known:
            raise ValueError(f"kind must be {' or '.join(map(repr, known))} for family={self.family!r}; got {kind!r}")
        data = as_data(X)
        self._check_columns(data.design.p, data.names)
        if self.has_offset and offset is None:
            raise ValueError("this path was fitted with an offset: predict needs offset= (zeros for none)")
        if offset is not None and not self.has_offset:
            raise ValueError("offset given, but this path was fitted without one")
        eta = self.linear(data.X, alpha)
        if offset is not None:
            eta = (eta.T + vector("offset", offset, data.design.n)).T
        if kind == "class" and self.classes_ is not None:
            return np.asarray(self.classes_[(eta > 0).astype(int)])
        return families.get(self.family).inverse(eta) if kind == "response" else eta

    def _check_columns(self, p: int, names: Names | None) -> None:
        if p != self.coefs.shape[0]:
            raise ValueError(f"X has {p} features, but the fit had {self.coefs.shape[0]}")
        if names is not None and self.feature_names_in_ is not None and list(names) != list(self.feature_names_in_):
            k = next(k for k in range(p) if names[k] != self.feature_names_in_[k])
            raise ValueError(f"X must have the feature names of the fit, in their order: column {k} is "
                             f"{names[k]!r}, it was {self.feature_names_in_[k]!r}")

    def criteria(self, X: Any, y: Any, *, sample_weight: Any = None, offset: Any = None,
                 rule: str | None = None) -> Criteria:
        """Degrees of freedom, approximate leave-one-out and refitted deviance at every α (see `regfast.Criteria`).

        X, y, `sample_weight` and `offset` must be those of the fit. One factorisation per α: of the order of n k² + k³
        operations each, k non-zero coefficients. `rule`: do only what this rule needs; the rest is NaN.
        """
        from .influence import criteria

        return criteria(self, X, y, sample_weight=sample_weight, offset=offset, rule=rule)

    def select(self, criterion: str | int, X: Any = None, y: Any = None, **data: Any) -> float:
        """The α of the path that minimises a criterion, or the smallest with at most k features.

        Parameters
        ----------
        criterion : {"aic", "bic", "ebic", "refitted aic", "refitted bic", "refitted ebic", "alo"} or int
            With D = n·deviance for "binomial", "multinomial" and "poisson", n·log(deviance) where the likelihood has a
            scale (σ² is profiled: each model's own mean square), n the rows of positive weight, and df the degrees of
            freedom: aic = D + 2 df, bic = D + log(n) df, ebic = bic + 2·log C(p, number of non-zeros) (γ = 1; Chen &
            Chen, 2008). "refitted": deviance of the selected columns without a penalty, df their number. "alo":
            approximate leave-one-out deviance. An int k: the smallest α with at most k features, on the grid or,
            given X and y, between two α's of it to a relative width of 1e-6 (of the model there: `at_most`).
        X, y, **data
            The data of the fit, with its `sample_weight` and `offset`. df is the number of non-zeros for the lasso
            (Zou, Hastie & Tibshirani, 2007), and needs no data; for l1_ratio < 1, grouped coefficients and bounds it is
            the trace of the hat matrix on the active set, which does, as do "refitted" and "alo". The intercept counts.

        Raises
        ------
        ValueError
            No criterion of that name, data that it needs are missing or not those of the fit, or every model is
            saturated.
        """
        kind, number = parse(criterion, "criterion", folds=False)
        if kind == "features" and X is not None:
            return float(self.at_most(number, X, y, **data).alphas[0])
        known = None if X is None else self.criteria(X, y, rule=kind, **data)
        return float(self.alphas[on_path(self, kind, number, known)])

    def at_most(self, k: int, X: Any, y: Any, **data: Any) -> Path:
        """The model with the smallest α that has at most k features, solved anew, as a path of that α.

        X, y and **data are those of the fit. The α lies between the last of the grid with at most k features and the
        next, where that bracket, divided again and again, becomes narrower than 1e-6 of it.
        """
        from .influence import at_most

        return at_most(self, k, X, y, **data)

    # ---- elsewhere

    def statement(self, alpha: float) -> Statement:
        """What the solution at α minimises."""
        return Statement(self.family, float(alpha), False, self.l1_ratio, self.fit_intercept, self.standardize,
                         self.penalty_factors, self.bounds, self.grouped or self.family == "multigaussian",
                         has_offset=self.has_offset)

    def equivalent(self, library: str, alpha: float) -> Code:
        """Code that fits the model at α in another library: see `Lasso.equivalent`."""
        self._weights(alpha)
        return equivalent(self.statement(alpha), library)

    def to_sklearn(self, alpha: float) -> Any:
        """scikit-learn's fitted estimator with the coefficients at α: see `regfast.to_sklearn`."""
        from .convert import path_to_sklearn

        return path_to_sklearn(self, alpha)

    @property
    def n_coefs(self) -> NDArray[np.int64]:
        """(n_alphas,) how many coefficients are not zero."""
        return self.n_nonzero

    @property
    def grouped(self) -> bool:
        """Whether the coefficients of a column enter together."""
        return False

    @property
    def outputs(self) -> list[Any]:
        """What each linear predictor is called; one alone has no name."""
        return [None]

    @property
    def names(self) -> Names:
        """(p,) feature names, x0, x1, … where the input had none."""
        if self.feature_names_in_ is not None:
            return self.feature_names_in_
        return np.array([f"x{j}" for j in range(self.coefs.shape[0])], dtype=object)

    def to_frame(self) -> DataFrame:
        """One row per α (pandas): what is known of the solution, then the coefficient of each feature ever selected."""
        import pandas as pd

        used = np.flatnonzero(np.diff(self.coefs.tocsr().indptr))
        head = {"alpha": self.alphas, "n_nonzero": self.n_nonzero, "deviance_ratio": self.deviance_ratio,
                "gap": self.gaps, "status": self.status, "intercept": self.intercepts}
        body = pd.DataFrame(self.coefs.tocsr()[used].toarray().T, columns=list(self.names[used]))
        return pd.concat([pd.DataFrame(head), body], axis=1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Coefficient profiles (see `regfast.plots.plot_path`)."""
        from .plots import plot_path

        return plot_path(self, ax)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the path as JSON that `regfast.load` reads; bit for bit, without pickle."""
        from .store import save_path

        save_path(self, file)
