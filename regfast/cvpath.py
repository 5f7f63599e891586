"""The result of a cross-validation: a path, what the folds say of it, and the rules that choose from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .equivalents import Code
from .information import Criteria
from .result import Kind, Path
from .rules import Rule, parse, position
from .validation import Float, as_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .account import Report

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False, repr=False)
class CVPath:
    """A path with its cross-validation.

    Attributes
    ----------
    path : Path
        Fitted to all rows at the best l1_ratio and dropout.
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
    dropouts : (m,) float64
    dropout_scores : (m,) float64
        Best mean score of each dropout tried.
    train_mean : (n_alphas,) float64
        Mean over the folds of the deviance in their training rows.
    criteria : Criteria, or None
        What some rules need of the data; kept by ``fit_cv(..., criteria=True)``.
    folds : list of (train, test, Path), or None
        Rows and path of each fold; kept by ``fit_cv(..., keep_folds=True)``.
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
    train_mean: Float
    dropouts: Float | None = None
    dropout_scores: Float | None = None
    criteria: Criteria | None = None
    folds: list[tuple[Rows, Rows, Path]] | None = None

    @property
    def dropout_best(self) -> float:
        """The dropout of `path`."""
        return self.path.dropout

    @property
    def n_folds(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        k = [int(self.path.n_nonzero[np.searchsorted(-self.path.alphas, -a)]) for a in (self.alpha_min, self.alpha_1se)]
        return (f"CVPath({self.n_folds} folds, alpha_min={self.alpha_min:.4g} ({k[0]} features), "
                f"alpha_1se={self.alpha_1se:.4g} ({k[1]} features), l1_ratio={self.l1_ratio_best:g}"
                f"{f', dropout={self.dropout_best:g}' if self.dropout_best else ''})")

    def alpha(self, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> float:
        """The α that a rule picks.

        Parameters
        ----------
        rule : str, int or tuple
            "min": least mean loss over the folds.
            "1se": the largest α within one standard error of it.
            "within 2%" or ("within", 2): the largest α whose mean loss is at most 2 % worse than the least, in % of its
            absolute value, as in caret's `tolerance` and tune's `select_by_pct_loss`.
            5, an int: the smallest α with at most 5 features; of the grid or, given X and y, between two of its α's.
            "aic", "bic", "ebic", "refitted aic", "refitted bic", "refitted ebic", "alo": as in `Path.select`, from X
            and y or, after ``fit_cv(..., criteria=True)``, without.
        X, y, **data
            The data of the fit, with its `sample_weight` and `offset`, for rules that go back to it.

        Raises
        ------
        ValueError
            There is no such rule, or it needs the data, or no α fulfils it.
        """
        return self._model(rule, X, y, data)[1]

    def _model(self, rule: Rule, X: Any, y: Any, data: dict[str, Any]) -> tuple[Path, float]:
        """A path, and the α of it, that a rule picks."""
        kind, number = parse(rule)
        if kind == "features" and X is not None:
            alone = self.path.at_most(number, X, y, **data)
            return alone, float(alone.alphas[0])
        known = self.criteria
        if X is not None and kind not in ("min", "1se", "within"):
            known = self.path.criteria(X, y, rule=kind, **data)
        return self.path, float(self.path.alphas[position(self, rule, known)])

    def coef(self, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> Float:
        """(p,) coefficients at the α that `rule` picks; (C, p) of C classes. Parameters as in `alpha`."""
        path, alpha = self._model(rule, X, y, data)
        return path.coef_at(alpha)

    def intercept(self, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> Any:
        """Intercept at the α that `rule` picks, a float; (C,) of C classes. Parameters as in `alpha`."""
        path, alpha = self._model(rule, X, y, data)
        return path.intercept_at(alpha)

    def models(self, rule: Rule = "min") -> list[tuple[Any, Float, float]]:
        """(name, coefficients (p,), intercept) of each linear predictor at the α that `rule` picks.

        The name is that of its class; a path with one predictor has none for it, None.
        """
        coef, intercept = np.atleast_2d(self.coef(rule)), np.atleast_1d(self.intercept(rule))
        return list(zip(self.path.outputs, coef, intercept.tolist(), strict=True))

    def predict(self, X: Any, rule: Rule = "min", offset: Any = None, kind: Kind = "response") -> Float:
        """Predictions of the model of all rows, at the α of the grid that `rule` picks; see `Path.predict`."""
        return self.path.predict(X, self.alpha(rule), offset, kind)

    def supports(self, rules: Sequence[Rule] = ("min", "1se")) -> NDArray[np.bool_]:
        """(m, p) which features the model of each rule uses, in any of its linear predictors; rules of the grid."""
        return np.array([np.atleast_2d(self.coef(rule)).any(axis=0) for rule in rules])

    def jaccard(self, rules: Sequence[Rule] = ("min", "1se")) -> Float:
        """(m, m) overlap of the features that m rules select: those of both over those of either; 1 for none."""
        used = self.supports(rules).astype(np.float64)
        both = used @ used.T
        either = used.sum(axis=1)[:, None] + used.sum(axis=1) - both
        return np.asarray(np.divide(both, either, out=np.ones_like(both), where=either > 0))

    def _kept(self) -> list[tuple[Rows, Rows, Path]]:
        if self.folds is None:
            raise ValueError("the folds were not kept: fit_cv(..., keep_folds=True)")
        return self.folds

    def fold_coefs(self, rule: Rule = "min") -> Float:
        """(n_folds, p) coefficients that each fold has at the α that `rule` picks; (n_folds, C, p) of C classes."""
        alpha = self.alpha(rule)
        return np.array([path.coef_at(alpha) for _, _, path in self._kept()])

    def selection_frequency(self, rule: Rule = "min") -> Float:
        """(p,) share of the folds that select each feature at the α that `rule` picks.

        Needs ``fit_cv(..., keep_folds=True)``. Folds share rows: a share of 1 says that the choice outlives the loss of
        any one fold, and is no probability (stability selection, with its error bounds, draws halves of the rows).
        """
        coefs = self.fold_coefs(rule)
        return np.asarray((coefs if coefs.ndim == 2 else coefs.any(axis=1)).astype(bool).mean(axis=0))

    def out_of_fold(self, X: Any, rule: Rule = "min", offset: Any = None, kind: Kind = "response") -> Any:
        """(n,) or (n, C) prediction of each row of the X fitted by the fold that held it out; NaN where no fold did.

        Needs ``fit_cv(..., keep_folds=True)``; parameters as in `predict`. A row that several folds held out has the
        prediction of the last.
        """
        alpha, data = self.alpha(rule), as_data(X).X
        out: Any = None
        for _, test, path in self._kept():
            part = path.predict(data[test], alpha, None if offset is None else np.asarray(offset)[test], kind)
            if out is None:
                out = np.full((data.shape[0], *part.shape[1:]), np.nan, dtype=np.result_type(part, np.float64)
                              if part.dtype.kind == "f" else object)
            out[test] = part
        return out

    def equivalent(self, library: str, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> Code:
        """Code that fits the model that `rule` picks in another library; parameters as in `alpha`, and `library`."""
        path, alpha = self._model(rule, X, y, data)
        return path.equivalent(library, alpha)

    def to_sklearn(self, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> Any:
        """scikit-learn's fitted estimator with the coefficients that `rule` picks; parameters as in `alpha`."""
        path, alpha = self._model(rule, X, y, data)
        return path.to_sklearn(alpha)

    def plot(self) -> Figure:
        """The cross-validation curve beside the coefficient profiles (see `regfast.plots.plot_overview`)."""
        from .plots import plot_overview

        return plot_overview(self)

    def report(self, html: str | os.PathLike[str] | None = None, *, rule: Rule = "min", X: Any = None, y: Any = None,
               **data: Any) -> Report:
        """What was selected, how sure that is, and what to beware of.

        Parameters
        ----------
        html : path, optional
            Where to save it as a page: one file, its pictures inside, no script, no network.
        rule : str, int or tuple
            The model whose features are listed, by a rule of the grid.
        X, y, **data
            The data of the fit, with its `sample_weight` and `offset`: for correlated competitors and for rules that go
            back to the data.

        Returns
        -------
        Report
            ``print(cv.report())``, ``cv.report().save("page.html")``.
        """
        from .account import Report

        out = Report(self, rule, X, y, **data)
        if html is not None:
            out.save(html)
        return out

    def with_criteria(self, X: Any, y: Any, **data: Any) -> CVPath:
        """The same result, with the `Path.criteria` of its data kept."""
        return replace(self, criteria=self.path.criteria(X, y, **data))

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write everything as JSON that `regfast.load` reads; bit for bit, without pickle."""
        from .store import save_cv

        save_cv(self, file)
