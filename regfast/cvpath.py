"""The result of a cross-validation: a path, what the folds say of it, and the rules that choose from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .result import Kind, Path
from .validation import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rule = Literal["min", "1se"]


@dataclass(frozen=True, eq=False, repr=False)
class CVPath:
    """A path with its cross-validation.

    Attributes
    ----------
    path : Path
        Fitted to all rows at the best l1_ratio.
    alpha_min, alpha_1se : float
        The α of least mean loss; the largest α whose mean loss is within one standard error of it.
    l1_ratio_best : float
    scores : (n_folds, n_alphas) float64
        Deviance of each fold (weighted mean; squared error for "gaussian"), or what the scorer returned.
    score_mean, score_se : (n_alphas,) float64
        Mean over the folds (weighted by their weight of held-out rows) and its standard error,
        √(weighted mean of (s_k − mean)² / (K − 1)).
    scoring : str
        "deviance" (lower is better) or the scorer's name (greater is better).
    oof_predictions : (n,) float64, or (n, C) of C classes
        Prediction of each row at `alpha_min` by the fold that held it out; NaN where no fold did.
    l1_ratios : (m,) float64
    l1_scores : (m,) float64
        Best mean score of each l1_ratio tried.
    """

    path: Path
    alpha_min: float
    alpha_1se: float
    l1_ratio_best: float
    scores: Float
    score_mean: Float
    score_se: Float
    scoring: str
    oof_predictions: Float
    l1_ratios: Float
    l1_scores: Float

    @property
    def n_folds(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        k = [int(self.path.n_nonzero[np.searchsorted(-self.path.alphas, -a)]) for a in (self.alpha_min, self.alpha_1se)]
        return (f"CVPath({self.n_folds} folds, alpha_min={self.alpha_min:.4g} ({k[0]} features), "
                f"alpha_1se={self.alpha_1se:.4g} ({k[1]} features), l1_ratio={self.l1_ratio_best:g})")

    def alpha(self, rule: Rule = "min") -> float:
        """The α that a rule picks: "min" or "1se"."""
        if rule not in ("min", "1se"):
            raise ValueError(f"rule must be 'min' or '1se'; got {rule!r}")
        return self.alpha_min if rule == "min" else self.alpha_1se

    def coef(self, rule: Rule = "min") -> Float:
        """(p,) coefficients at the α that `rule` picks; (C, p) of C classes."""
        return self.path.coef_at(self.alpha(rule))

    def intercept(self, rule: Rule = "min") -> Any:
        """Intercept at the α that `rule` picks, a float; (C,) of C classes."""
        return self.path.intercept_at(self.alpha(rule))

    def models(self, rule: Rule = "min") -> list[tuple[Any, Float, float]]:
        """(name, coefficients (p,), intercept) of each linear predictor at the α that `rule` picks.

        The name is that of its class; a path with one predictor has none for it, None.
        """
        coef, intercept = np.atleast_2d(self.coef(rule)), np.atleast_1d(self.intercept(rule))
        return list(zip(self.path.outputs, coef, intercept.tolist(), strict=True))

    def predict(self, X: Any, rule: Rule = "min", offset: Any = None, kind: Kind = "response") -> Float:
        """Predictions of the model fitted to all rows, at the α that `rule` picks; the rest as in `Path.predict`."""
        return self.path.predict(X, self.alpha(rule), offset, kind)

    def plot(self) -> Figure:
        """The cross-validation curve beside the coefficient profiles (see `regfast.plots.plot_overview`)."""
        from .plots import plot_overview

        return plot_overview(self)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write everything as JSON that `regfast.load` reads; bit for bit, without pickle."""
        from .store import save_cv

        save_cv(self, file)
