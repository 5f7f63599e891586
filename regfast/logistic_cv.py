"""scikit-learn's LogisticRegressionCV: its parameters, objective and attributes, this engine."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .cv import Settings, rebuild, run_folds
from .folds import check_folds
from .glm import ACCURACY
from .held import Held
from .logistic import RATIO, LogisticRegression
from .path import prepare
from .plumbing import FLOATS, check_cross_validation, must, real, route, split_rows, warn_of_worst
from .predictor import linear_predictor
from .result import Path
from .scoring import is_log_loss, knowing, log_losses
from .validation import Float

DEFAULT = (0.0,)
KINKED = 1e-10  # the gap that every C of a fold aims at where there is an L1 penalty


class Found:
    """What the folds gave, for every value of l1_ratio and C."""

    def __init__(self, Cs: Float, ratios: Float, named: bool, coefs: Float, n_iter: NDArray[np.int32]) -> None:
        self.Cs, self.ratios = Cs, ratios
        self.named = named  # l1_ratios says so
        self.coefs = coefs.swapaxes(0, 1)  # (n_folds, n_l1_ratios, n_cs, 1 or n_classes, n_dof)
        self.n_iter = n_iter.swapaxes(0, 1)  # (n_folds, n_l1_ratios, n_cs)
        self.scores = np.full(self.n_iter.shape, np.nan)

    def best(self, scores: Float) -> tuple[int, int]:
        """(l1_ratio, C) of the greatest score (n_l1_ratios, n_cs); the first C that has it, then the first l1_ratio."""
        C, ratio = np.unravel_index(int(scores.T.argmax()), scores.T.shape)
        return int(ratio), int(C)


class LogisticRegressionCV(LogisticRegression):
    """`LogisticRegression` whose C, and l1_ratio, are chosen by cross-validation, as in scikit-learn.

    The best sum of scores on the rows held out picks C and l1_ratio; with them the model is fitted to all rows. Folds
    are weight vectors over the one X, which is never copied. Nothing is standardised: see `regfast.fit_cv` for that.

    Three defaults mean what scikit-learn 1.9 announces for 1.10 and 1.11, so that there is nothing to warn of:
    give `scoring=None` and `use_legacy_attributes=True` for what its own still are.

    Parameters
    ----------
    Cs : int or (n_cs,) array of float > 0
        How many, from 1e-4 to 1e4 on a logarithmic scale; or the values. inf is maximum likelihood.
    l1_ratios : sequence of float in [0, 1]
        Compared on the same folds. "warn", the default, and None, deprecated as in scikit-learn, are (0,).
    fit_intercept : bool
        Never penalised.
    cv : None, int, splitter or iterable of (train, test)
        None is 5; an int is that many folds with the same share of each class (scikit-learn's StratifiedKFold, not
        shuffled). Every class must be among the training rows of each fold.
    penalty : {"l1", "l2", "elasticnet"}
        Deprecated, as in scikit-learn: `l1_ratios` says it.
    scoring : str, callable or None
        A scikit-learn scorer; None is accuracy. Sample weights go to it, class weights do not.
    tol : float
        Upper bound on the duality gap relative to the null model's deviance; 1e-14, with an L1 penalty 1e-10,
        is aimed at where more is allowed.
    max_iter : int
        Newton steps and epochs of coordinate descent for each C.
    class_weight : dict, "balanced" or None
        {label: weight}, 1 for labels left out; "balanced": n / (classes · rows of the class) of all rows, in weights.
    n_jobs : int, optional
        Threads over folds, as joblib counts them. The result does not depend on it.
    refit : bool
        False: no last fit, but the means over the folds of each one's best C, l1_ratio, coefficients and intercept.
    use_legacy_attributes : bool
        True: `C_` and `l1_ratio_` are arrays, and scores and coefficients dictionaries by class, as before 1.10.
    dual, solver, verbose, intercept_scaling, random_state
        Accepted for compatibility: there is one engine, and its solution is certified.

    Attributes
    ----------
    classes_ : (n_classes,)
    coef_ : (1, p) for two classes, else (n_classes, p), of X's float type
    intercept_ : (1,) or (n_classes,)
    Cs_ : (n_cs,)
    l1_ratios_ : (n_l1_ratios,)
    C_, l1_ratio_ : float
        (1,) or (n_classes,) of equal numbers with `use_legacy_attributes`.
    scores_ : (n_folds, n_l1_ratios, n_cs)
        Legacy: {class: (n_folds, n_cs, n_l1_ratios)}, the second class alone where there are two.
    coefs_paths_ : (n_folds, n_l1_ratios, n_cs, 1 or n_classes, n_dof)
        The intercept, where there is one, comes last. Legacy: {class: (n_folds, n_cs, n_l1_ratios, n_dof)}.
    n_iter_ : (n_folds, n_l1_ratios, n_cs) int
        Legacy: (1, n_folds, n_cs, n_l1_ratios). Where l1_ratios is not given, legacy arrays are without its axis.
    n_features_in_ : int
    feature_names_in_ : (p,)

    Warns
    -----
    ConvergenceWarning
        `max_iter` did not suffice in a fold or in the last fit, or the classes are separated and there is no penalty.
    FutureWarning
        `penalty` is given, or `l1_ratios` is None.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1); Lee, Sun & Saunders (2014), SIAM J. Optim. 24.
    """

    # a keyword of `score`, but the scorer's to ask
    __metadata_request__score: ClassVar[dict[str, Any]] = {"sample_weight": UNUSED}

    def __init__(self, *, Cs: Any = 10, l1_ratios: Any = "warn", fit_intercept: bool = True, cv: Any = None,
                 dual: bool = False, penalty: Any = "deprecated", scoring: Any = "neg_log_loss", solver: str = "lbfgs",
                 tol: float = 1e-4, max_iter: int = 100, class_weight: Any = None, n_jobs: int | None = None,
                 verbose: int = 0, refit: bool = True, intercept_scaling: float = 1.0, random_state: Any = None,
                 use_legacy_attributes: Any = False) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit every fold along its path, choose, and fit all rows.

        Parameters
        ----------
        X : (n, p), dense or sparse
        y : (n,) labels of two classes or more
        sample_weight : float or (n,), optional
            As if rows were repeated; the scorer gets them too.
        **params
            What goes to the splitter (`groups`) and the scorer, where scikit-learn's metadata routing is enabled.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be, a training fold lacks a class, or a score is NaN.
        """
        Cs = self._strengths()
        ratios, named = self._ratios()
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=FLOATS)
        check_classification_targets(y)
        w = self._weights(y, sample_weight)
        self.classes_ = np.unique(y)
        given = None if sample_weight is None or isinstance(sample_weight, Real) else np.asarray(sample_weight)
        routed = route(self, "fit", params, given)
        folds = split_rows(self, X, y, w, routed)
        paths, at = self._paths(X, y, w, Cs, ratios, folds)
        found = Found(
            Cs, np.array(ratios), named,
            coefs=np.array([[stacked(path, self.fit_intercept)[at] for path in of_one] for of_one in paths]),
            n_iter=np.array([[np.maximum(path.n_iter, 1)[at] for path in of_one] for of_one in paths], dtype=np.int32))
        for k, (_, test) in enumerate(folds):
            found.scores[k] = self._grade(X[test], y[test], found.coefs[k], rows(given, test, len(y)),
                                          {name: rows(x, test, len(y)) for name, x in routed.scorer.score.items()})
            if np.isnan(found.scores[k]).any():
                raise ValueError(f"scoring={self.scoring!r} is not defined on the rows held out in fold {k}: got NaN; "
                                 "want another scoring, or folds that are larger or hold every class")
        warn_of_worst([path for of_one in paths for path in of_one], float(self.tol))
        self._choose(found, X, y, sample_weight)
        return self

    # ---- parameters

    def _strengths(self) -> Float:
        """(n_cs,) C in the user's order; every other parameter but `l1_ratios` and `penalty` is checked."""
        self._check_shared()
        check_cross_validation(self)
        must(self, "refit", "an instance of 'bool'", isinstance(self.refit, (bool, np.bool_)))
        must(self, "use_legacy_attributes", "an instance of 'bool'",
             isinstance(self.use_legacy_attributes, (bool, np.bool_)) or self.use_legacy_attributes == "warn")
        must(self, "scoring", "a str among the names of scorers, a callable or None",
             self.scoring is None or callable(self.scoring) or isinstance(self.scoring, str))
        if isinstance(self.Cs, Integral):
            must(self, "Cs", "an int in the range [1, inf) or an array-like",
                 not isinstance(self.Cs, bool) and int(self.Cs) >= 1)
            return np.logspace(-4, 4, int(self.Cs))
        wanted = "an int in the range [1, inf) or an array-like of floats in the range (0.0, inf]"
        must(self, "Cs", wanted, np.ndim(self.Cs) == 1 and len(self.Cs) > 0)
        must(self, "Cs", wanted, all(real(C) and C > 0 for C in self.Cs))
        return np.asarray(self.Cs, dtype=np.float64)

    def _ratios(self) -> tuple[list[float], bool]:
        """(values of l1_ratio, whether `l1_ratios` says so), from `penalty` where that is given."""
        must(self, "penalty", "a str among {'l1', 'l2', 'elasticnet'}",
             self.penalty in ("deprecated", "l1", "l2", "elasticnet"))
        unset = self.l1_ratios is None or (isinstance(self.l1_ratios, str) and self.l1_ratios == "warn")
        if self.penalty != "deprecated":
            warnings.warn("'penalty' was deprecated in scikit-learn 1.8: l1_ratios=(0,) is 'l2', (1,) "
                          "is 'l1', and values between them are 'elasticnet'", FutureWarning, stacklevel=3)
            if self.penalty != "elasticnet":
                if not unset and not np.array_equal(self.l1_ratios, DEFAULT):
                    warnings.warn(f"l1_ratios parameter is only used when penalty is 'elasticnet'. Got "
                                  f"(penalty={self.penalty})", stacklevel=3)
                return [RATIO[self.penalty]], False
        elif self.l1_ratios is None:
            warnings.warn("'l1_ratios=None' was deprecated in scikit-learn 1.8: give (0,) for the L2 penalty",
                          FutureWarning, stacklevel=3)
            return [0.0], False
        elif unset:
            return list(DEFAULT), False
        ratios = [] if unset or np.ndim(self.l1_ratios) != 1 else list(self.l1_ratios)
        if not ratios or not all(real(r) and 0 <= r <= 1 for r in ratios):
            raise ValueError(f"l1_ratios must be an array-like of numbers between 0 and 1; got {self.l1_ratios!r}")
        return [float(r) for r in ratios], True

    # ---- folds

    def _paths(self, X: Any, y: Any, w: Float, Cs: Float, ratios: list[float],
               folds: Any) -> tuple[list[list[Path]], NDArray[np.intp]]:
        """A path for every l1_ratio and fold, and where on it each C is."""
        several = len(self.classes_) > 2
        once, at = np.unique(Cs, return_inverse=True)  # a C given twice is solved once
        grids = np.array([1 / (once * w[train].sum()) for train, _ in folds])
        epochs = self._epochs(max(ratios), len(self.classes_))
        tol = min(float(self.tol), ACCURACY if max(ratios) == 0 else KINKED)
        settings = Settings(tol, epochs, False, False, (False, False))
        first = prepare(X, y if several else (y == self.classes_[1]).astype(np.float64), l1_ratio=ratios[0],
                        family="multinomial" if several else "binomial", sample_weight=w,
                        fit_intercept=self.fit_intercept, standardize=False)
        check_folds(folds, first)
        problems = [first, *(rebuild(first, first.w, settings, len(once), penalties=first.penalties.like(r),
                                     measured=first.measured) for r in ratios[1:])]
        none: list[Held | None] = [None] * len(folds)
        workers = effective_n_jobs(self.n_jobs)
        return [run_folds(problem, folds, grids, settings, workers, None, none) for problem in problems], at

    def _grade(self, X: Any, y: Any, coefs: Float, weights: Any, to_score: dict[str, Any]) -> Float:
        """(n_l1_ratios, n_cs) scores on the rows that a fold held out."""
        model, p, out = LogisticRegression(), X.shape[1], np.empty(coefs.shape[:2])
        if is_log_loss(self.scoring) and not to_score.keys() - {"sample_weight"}:  # of all models at once
            b = coefs.reshape(-1, coefs.shape[-1])
            eta = linear_predictor(X, b[:, :p].T, b[:, p:].sum(axis=1)).reshape(len(y), *coefs.shape[:3])
            return -log_losses(eta, np.searchsorted(self.classes_, y), to_score.get("sample_weight"))
        model.classes_ = self.classes_
        score = None if self.scoring is None else knowing(self._scorer(), self.classes_)
        for k in np.ndindex(*out.shape):
            model.coef_, model.intercept_ = coefs[k][:, :p], coefs[k][:, p:].sum(axis=1)  # (none: zeros)
            out[k] = model.score(X, y, weights) if score is None else score(model, X, y, **to_score)
        return out

    # ---- attributes

    def _choose(self, found: Found, X: Any, y: Any, sample_weight: Any) -> None:
        """The best model, and what the folds gave, on scikit-learn's attributes."""
        p = X.shape[1]
        if self.refit:
            ratio, C = found.best(found.scores.sum(axis=0))
            best_C, best_ratio = float(found.Cs[C]), float(found.ratios[ratio])
            model = LogisticRegression(C=best_C, l1_ratio=best_ratio, tol=self.tol, fit_intercept=self.fit_intercept,
                                       class_weight=self.class_weight, max_iter=self.max_iter)
            model.fit(X, y, sample_weight)
            self.coef_, self.intercept_ = model.coef_, model.intercept_
        else:
            each = [found.best(scores) for scores in found.scores]
            coef = np.mean([found.coefs[k, ratio, C] for k, (ratio, C) in enumerate(each)], axis=0)
            best_C = float(np.mean([found.Cs[C] for _, C in each]))
            best_ratio = float(np.mean([found.ratios[ratio] for ratio, _ in each]))
            self.coef_ = coef[:, :p].astype(X.dtype)
            self.intercept_ = coef[:, p:].sum(axis=1).astype(X.dtype)
        told = self.penalty == "deprecated" and self.l1_ratios is not None
        self.Cs_, self.l1_ratios_ = found.Cs, found.ratios if told or found.named else np.array([None])
        self.C_: Any = best_C
        self.l1_ratio_: Any = best_ratio
        self.scores_: Any = found.scores
        self.coefs_paths_: Any = found.coefs
        self.n_iter_ = found.n_iter
        if self.use_legacy_attributes and self.use_legacy_attributes != "warn":
            self._as_before(found)

    def _as_before(self, found: Found) -> None:
        """Attributes as they were before scikit-learn 1.10, where each class seems to have its own."""
        size = found.coefs.shape[3]
        labels = self.classes_[-size:]
        self.C_, self.l1_ratio_ = np.full(size, self.C_), np.full(size, self.l1_ratio_)
        ratio = slice(None) if found.named else 0
        scores = found.scores.swapaxes(1, 2)[..., ratio]
        self.scores_ = {label: scores.copy() for label in labels}
        coefs = np.moveaxis(found.coefs, (3, 2), (0, 2))[..., ratio, :]
        self.coefs_paths_ = dict(zip(labels, coefs, strict=True))
        self.n_iter_ = found.n_iter.swapaxes(1, 2)[None][..., ratio]

    # ---- scores

    def _scorer(self) -> Any:
        if isinstance(self.scoring, str) and self.scoring == "warn":
            return get_scorer("neg_log_loss")
        return get_scorer("accuracy" if self.scoring is None else self.scoring)

    def score(self, X: Any, y: Any, *, sample_weight: Any = None, **score_params: Any) -> float:
        """What `scoring` says of the predictions for X (n, p), whose labels are y (n,)."""
        return float(self._scorer()(self, X, y, **route(self, "score", score_params, sample_weight).scorer.score))

    def get_metadata_routing(self) -> Any:
        """Where `fit` and `score` send metadata: to the splitter and the scorer."""
        return (MetadataRouter(owner=self).add_self_request(self)
                .add(splitter=check_cv(self.cv), method_mapping=MethodMapping().add(caller="fit", callee="split"))
                .add(scorer=self._scorer(), method_mapping=MethodMapping().add(caller="score", callee="score")
                     .add(caller="fit", callee="score")))


def stacked(path: Path, intercept: bool) -> Float:
    """(n_cs, 1 or n_classes, n_dof) coefficients, with the intercept last."""
    parts: list[Any] = list(path.coefs) if isinstance(path.coefs, list) else [path.coefs]
    both = [np.vstack([part.toarray(), b0]) if intercept else part.toarray()
            for part, b0 in zip(parts, np.atleast_2d(path.intercepts), strict=True)]
    return np.moveaxis(np.array(both), 2, 0)


def rows(value: Any, at: NDArray[np.intp], n: int) -> Any:
    """Of metadata with an entry for each of the n rows those of some; other metadata as it is."""
    return np.asarray(value)[at] if np.ndim(value) and len(value) == n else value
