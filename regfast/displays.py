"""Pictures as scikit-learn's displays are: of a path or an estimator, drawn by `plot`, kept as `ax_`, `figure_`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .cvpath import CVPath
from .path import fit_path
from .plots import COLOURS, DASHES, _axes, _finish, _shown, plot_cv, plot_path
from .result import Path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class PathDisplay:
    """Coefficient profiles along α.

    Parameters
    ----------
    path : Path
    alpha : float, optional
        Marked by a vertical line.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, path: Path, alpha: float | None = None) -> None:
        self.path = path
        self.alpha = alpha

    @classmethod
    def from_path(cls, path: Path | CVPath, *, ax: Axes | None = None, n_labels: int = 12) -> Self:
        """Draw a path, or that of a cross-validation with its `alpha_min`."""
        shown = cls(path.path, path.alpha_min) if isinstance(path, CVPath) else cls(path)
        return shown.plot(ax, n_labels=n_labels)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, *, sample_weight: Any = None, ax: Axes | None = None,
                       n_labels: int = 12) -> Self:
        """Draw the path of the problem that a fitted lasso or elastic net (or its CV) solved on X, y, with its α.

        Raises
        ------
        TypeError
            The estimator is not a linear model of squared error with `alpha` and an L1 part.
        """
        alpha = getattr(estimator, "alpha_", getattr(estimator, "alpha", None))
        path = fit_path(X, y, sample_weight=sample_weight, **_objective(estimator))
        return cls(path, None if alpha is None else float(alpha)).plot(ax, n_labels=n_labels)

    def plot(self, ax: Axes | None = None, *, n_labels: int = 12) -> Self:
        """Draw; `n_labels` features are named."""
        self.ax_ = plot_path(self.path, ax, n_labels=n_labels)
        if self.alpha is not None and self.alpha > 0:
            self.ax_.axvline(float(np.log10(self.alpha)), color="black", linestyle=DASHES[1], linewidth=1, zorder=2)
        self.figure_ = self.ax_.figure
        return self


def _objective(estimator: Any) -> dict[str, Any]:
    """What `fit_path` calls the problem of an estimator."""
    name = type(estimator).__name__
    if name.removesuffix("CV") not in ("Lasso", "ElasticNet", "MultiTaskLasso", "MultiTaskElasticNet"):
        raise TypeError(f"estimator must be a Lasso, an ElasticNet, or a CV or MultiTask form of these; got {name}")
    ratio = 1.0 if "Lasso" in name else getattr(estimator, "l1_ratio_", estimator.l1_ratio)
    return {"family": "multigaussian" if "MultiTask" in name else "gaussian", "l1_ratio": float(ratio),
            "fit_intercept": estimator.fit_intercept, "standardize": False,
            "bounds": (0, np.inf) if getattr(estimator, "positive", False) else None}


class CVDisplay:
    """The curve of a cross-validation.

    Parameters
    ----------
    cv : CVPath

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, cv: CVPath) -> None:
        self.cv = cv

    @classmethod
    def from_path(cls, path: CVPath, *, ax: Axes | None = None) -> Self:
        """Draw the curve of a cross-validated path."""
        return cls(path).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, *, cv: Any = 10, ax: Axes | None = None,
                       **same: Any) -> Self:
        """Cross-validate the problem that a lasso or elastic net solves, on X and y, and draw the curve.

        `cv` and **same are those of `fit_cv`; l1_ratio, fit_intercept and positive come from the estimator, and nothing
        is standardised.

        Raises
        ------
        TypeError
            As in `PathDisplay.from_estimator`.
        """
        from .cv import fit_cv

        return cls(fit_cv(X, y, cv=cv, **_objective(estimator), **same)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw."""
        self.ax_ = plot_cv(self.cv, ax)
        self.figure_ = self.ax_.figure
        return self


def plot_balance(cv: CVPath, ax: Axes | None = None) -> Axes:
    """Training and held-out deviance along α: together and high is bias, apart is variance.

    Raises
    ------
    ValueError
        The folds were not scored by deviance.
    """
    if cv.scoring != "deviance":
        raise ValueError(f"cv must be scored by deviance, to compare it with the training rows'; got {cv.scoring}")
    ax = _axes(ax)
    shown = _shown(cv.path)
    x = np.log10(cv.path.alphas[shown])
    mean, se = cv.score_mean[shown], cv.score_se[shown]
    ax.fill_between(x, mean - se, mean + se, color="0.85", linewidth=0)
    ax.plot(x, mean, color=COLOURS[1], linewidth=1.6, label="held-out rows (± 1 standard error)")
    ax.plot(x, cv.train_mean[shown], color=COLOURS[0], linestyle=DASHES[1], linewidth=1.6, label="training rows")
    if cv.alpha_min > 0:
        ax.axvline(float(np.log10(cv.alpha_min)), color="black", linestyle=DASHES[2], linewidth=1, label="alpha_min")
    _finish(ax, cv.path, shown)
    ax.set_ylabel("mean deviance")
    ax.set_title("Training against held-out deviance")
    ax.legend(fontsize=8, loc="best", framealpha=1)
    return ax


def draw(cv: CVPath, name: str, figure: Figure) -> None:
    """One picture of the report: "curve", "balance" or "path"."""
    figure.set_layout_engine("constrained")
    ax = figure.subplots()
    if name == "curve":
        CVDisplay.from_path(cv, ax=ax)
    elif name == "balance":
        plot_balance(cv, ax)
    else:
        PathDisplay.from_path(cv, ax=ax, n_labels=15)
