"""scikit-learn's RidgeCV and RidgeClassifierCV: exact leave-one-out over all strengths, or folds, one spectrum each."""

from __future__ import annotations

from inspect import signature
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin, is_classifier
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import validate_data

from .blas import single_threaded
from .factors import Spectrum
from .leave_one_out import errors
from .plumbing import FLOATS, check_strengths, must, route, routing_enabled
from .ridge import improve, side_of, solve
from .ridge_estimators import Classifying, Linear, Ridge, RidgeClassifier, Weights, as_problem
from .standard_form import StandardForm
from .validation import Float


class _Fitted(RegressorMixin, BaseEstimator):
    """What a scorer is given: an estimator whose X is its prediction."""

    def predict(self, X: Any) -> Any:
        return X


class _FittedClassifier(ClassifierMixin, BaseEstimator):
    """The same of scores, (n, 1) for two classes."""

    def __init__(self, of: Classifying) -> None:
        self.of, self.classes_ = of, of.classes_

    def decision_function(self, X: Any) -> Any:
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X: Any) -> Any:
        return self.of.labels(X)


class _RidgeCV(Linear):
    """The best of several α."""

    _default = "neg_mean_squared_error"  # the scorer that stands for scoring=None where weights are routed

    def _check_parameters(self) -> None:
        alphas = np.asarray(self.alphas)
        must(self, "alphas", "an array-like or a float in the range (0.0, inf)",
             alphas.ndim <= 1 and alphas.size > 0 and not isinstance(self.alphas, str))
        check_strengths(self.alphas if alphas.ndim else [self.alphas], zero=self.cv is not None)
        for flag in ("fit_intercept", "store_cv_results"):
            must(self, flag, "an instance of 'bool'", isinstance(getattr(self, flag), (bool, np.bool_)))
        must(self, "scoring", "a str among the scorers of scikit-learn, a callable or None",
             self.scoring is None or callable(self.scoring) or self.scoring in get_scorer_names())
        if self.cv is not None and self.store_cv_results:
            raise ValueError("cv!=None and store_cv_results=True are incompatible")

    @property
    def _per_target(self) -> bool:
        return False

    @property
    def _by_svd(self) -> bool:
        return False

    def get_metadata_routing(self) -> Any:
        """Where `fit` sends metadata: to the scorer and the splitter."""
        scorer = check_scoring(self, scoring=self.scoring or self._default)
        if self.scoring is None and routing_enabled():
            scorer = scorer.set_score_request(sample_weight=True)
        return (MetadataRouter(owner=self).add_self_request(self)
                .add(scorer=scorer, method_mapping=MethodMapping().add(caller="fit", callee="score"))
                .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split")))

    def _choose(self, X: Any, y: Any, Y: Float, sample_weight: Any, flat: bool, params: dict[str, Any]) -> None:
        """α_, its score and its coefficients; Y (n, T) is what is fitted, y what scorers are given."""
        routed = route(self, "fit", params, sample_weight)
        alphas = np.atleast_1d(np.asarray(self.alphas, dtype=np.float64))
        if self.cv is None:
            self._leave_one_out(X, y, Y, sample_weight, alphas, flat, routed.scorer.score)
        else:
            self._folds(X, y, Y, sample_weight, alphas, flat, routed)

    def _leave_one_out(self, X: Any, y: Any, Y: Float, sample_weight: Any, alphas: Float, flat: bool,
                       to_score: dict[str, Any]) -> None:
        n, n_targets = Y.shape
        weights = Weights.of(sample_weight, n)
        if self.fit_intercept and np.count_nonzero(weights.share) < 2:
            raise ValueError("leave-one-out with an intercept needs two rows of positive weight; got "
                             f"n_samples = {np.count_nonzero(weights.share)}")
        problem = as_problem(X, np.ascontiguousarray(Y[:, 0]), weights, bool(self.fit_intercept))
        form = StandardForm(problem)
        share = form.strengths(alphas / weights.total)
        keep = self.store_cv_results or self.scoring is not None
        kept = np.empty((n, n_targets, len(alphas))) if keep else None
        loss = np.zeros((n_targets, len(alphas)))
        with single_threaded():
            response = form.response(Y)
            spectrum = Spectrum.fine(form) if self._by_svd else Spectrum.of(form, float(share.min()))
            for rows, e in errors(form, spectrum, response, share):
                loss += (e * e).sum(axis=0) * weights.total / n
                if kept is not None:
                    kept[rows] = e
            if self.scoring is None:
                scores = -loss if self._per_target else -loss.mean(axis=0)[None]
                if kept is not None:
                    kept = kept**2 * weights.total
            else:
                assert kept is not None
                kept = self._predictions(form, spectrum, kept, Y, response, share)
                scores = self._scored(y, Y, kept, to_score)
            best = scores.argmax(axis=1)
            which = np.arange(n_targets)
            found = improve(side_of(form, response), spectrum, which, share[np.broadcast_to(best, n_targets)])
            coef, intercept = form.coefficients(found.beta, Y)
        at = scores[np.arange(len(best)), best]
        several = self._per_target and n_targets > 1
        self.alpha_ = alphas[best] if several else float(alphas[best[0]])
        self.best_score_ = at if several or (self._per_target and not flat) else float(at[0])
        if self.store_cv_results:
            assert kept is not None
            self.cv_results_ = (kept[:, 0] if flat else kept).astype(X.dtype, copy=False)
        self.settle(coef, intercept, X.dtype, flat)

    def _predictions(self, form: StandardForm, spectrum: Spectrum, e: Float, Y: Float, response: Float,
                     alphas: Float) -> Float:
        """(n, T, k) what fits without the row predict of it; rows of no weight are left out of no fit."""
        some = form.root_w > 0
        out = np.empty_like(e)
        out[some] = Y[some][:, :, None] - e[some] / form.root_w[some][:, None, None]
        if not some.all():
            side, which = side_of(form, response), np.repeat(np.arange(Y.shape[1]), len(alphas))
            beta = side.lift(spectrum.solve(side.f[:, which], np.tile(alphas, Y.shape[1])))
            coef, intercept = form.coefficients(beta, Y[:, which])
            fitted = np.asarray(form.X[np.flatnonzero(~some)] @ coef) + intercept
            out[~some] = fitted.reshape(-1, Y.shape[1], len(alphas))
        return out

    def _scored(self, y: Any, Y: Float, predictions: Float, more: dict[str, Any]) -> Float:
        """(T or 1, k) scores of predictions (n, T, k)."""
        score = check_scoring(self, scoring=self.scoring)
        strengths = range(predictions.shape[2])
        if is_classifier(self):
            model: Any = _FittedClassifier(self)
            return np.array([[score(model, predictions[:, :, k], y, **more) for k in strengths]])
        if self._per_target:
            return np.array([[score(_Fitted(), predictions[:, t, k], Y[:, t], **more) for k in strengths]
                             for t in range(Y.shape[1])])
        shape = np.shape(y)
        return np.array([[score(_Fitted(), predictions[:, :, k].reshape(shape), y, **more) for k in strengths]])

    def _folds(self, X: Any, y: Any, Y: Float, sample_weight: Any, alphas: Float, flat: bool, routed: Any) -> None:
        """As scikit-learn: the mean of the folds' scores decides, and all rows are fitted at the best α."""
        splitter = check_cv(self.cv, y, classifier=is_classifier(self))
        scores = np.array([self._fold(X, y, Y, sample_weight, alphas, flat, train, test, routed.scorer.score)
                           for train, test in splitter.split(X, y, **routed.splitter.split)])
        best = int(scores.mean(axis=0).argmax())
        self.alpha_, self.best_score_ = float(alphas[best]), float(scores.mean(axis=0)[best])
        final = Ridge(self.alpha_, fit_intercept=self.fit_intercept).fit(X, Y[:, 0] if flat else Y, sample_weight)
        self.coef_, self.intercept_ = final.coef_, final.intercept_

    def _fold(self, X: Any, y: Any, Y: Float, sample_weight: Any, alphas: Float, flat: bool, train: Any,
              test: Any, to_score: dict[str, Any]) -> list[float]:
        """The score of every α on the rows `test`."""
        score = check_scoring(self, scoring=self.scoring)
        w = np.full(len(Y), 1.0 if sample_weight is None else np.asarray(sample_weight), dtype=np.float64)
        weighs = self.scoring is None or "sample_weight" in signature(score).parameters or routing_enabled()
        more = {name: w[test] if name == "sample_weight" else np.asarray(value)[test]
                for name, value in to_score.items() if weighs or name != "sample_weight"}
        weights = Weights.of(w * np.bincount(np.arange(len(Y))[train], minlength=len(Y)), len(Y))
        form = StandardForm(as_problem(X, np.ascontiguousarray(Y[:, 0]), weights, bool(self.fit_intercept)))
        n_targets, positive = Y.shape[1], np.unique(alphas[alphas > 0])
        which = np.repeat(np.arange(n_targets), len(positive))
        with single_threaded():
            found = solve(form, form.response(Y), which, np.tile(positive / weights.total, n_targets))
            coef, intercept = form.coefficients(found.beta, Y[:, which])
        out = []
        for alpha in alphas:
            model: Any = self._model(alpha)
            if alpha > 0:
                at = np.flatnonzero(np.tile(positive, n_targets) == alpha)
                model.settle(coef[:, at], intercept[at], X.dtype, flat)
            else:
                free = Ridge(0.0, fit_intercept=self.fit_intercept).fit(X[train], Y[train, 0] if flat else Y[train],
                                                                       None if sample_weight is None else w[train])
                model.coef_, model.intercept_ = free.coef_, free.intercept_
            out.append(score(model, X[test], y[test], **more))
        return out

    def _model(self, alpha: float) -> Any:
        """What scorers are given, but for its coefficients."""
        model = Ridge(alpha, fit_intercept=self.fit_intercept)
        model.n_features_in_ = self.n_features_in_
        return model


class RidgeCV(MultiOutputMixin, RegressorMixin, _RidgeCV):
    """`Ridge` at the best of several strengths, as in scikit-learn; by exact leave-one-out unless `cv` is given.

    Parameters
    ----------
    alphas : sequence of float > 0, or float
        Also 0 where `cv` is given.
    fit_intercept : bool
    scoring : str, callable or None
        None: minus the (weighted) mean squared error for leave-one-out, R² for folds.
    cv : None, int, splitter or iterable
        None: every row is left out in turn, exactly, at the price of one factorisation and one product for all
        strengths. An int: folds, not shuffled.
    gcv_mode : {"auto", "svd", "eigen"}, optional
        "svd": by the singular values of X, three times the price. None, "auto" and "eigen": by eigenvalues of the
        smaller Gram, unless an α is lost in its rounding.
    store_cv_results : bool
    alpha_per_target : bool
        A strength for each target, with cv=None.

    Attributes
    ----------
    alpha_ : float, or (n_targets,) with `alpha_per_target`
    best_score_ : float, or (n_targets,)
    coef_ : (p,) or (n_targets, p), of X's float type
    intercept_ : float or (n_targets,)
    cv_results_ : (n, n_alphas) or (n, n_targets, n_alphas)
        With `store_cv_results`: w times the squared leave-one-out error, w the sample weight; with `scoring`
        leave-one-out predictions.
    n_features_in_ : int
    feature_names_in_ : (p,)

    References
    ----------
    Golub, Heath & Wahba (1979), Technometrics 21.
    """

    def __init__(self, alphas: Any = (0.1, 1.0, 10.0), *, fit_intercept: bool = True, scoring: Any = None,
                 cv: Any = None, gcv_mode: str | None = None, store_cv_results: bool = False,
                 alpha_per_target: bool = False) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.gcv_mode = gcv_mode
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit to X (n, p), dense or sparse, and y (n,) or (n, n_targets).

        Parameters
        ----------
        X : (n, p)
        y : (n,) or (n, n_targets)
        sample_weight : float or (n,), optional
            Counts in the fits, and in the scores of a scorer that takes it.
        **params
            What goes to the splitter (`groups`) and the scorer, where scikit-learn's metadata routing is enabled.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be, or there are not two rows to leave one out.
        """
        self._check_parameters()
        must(self, "gcv_mode", "a str among {'auto', 'eigen', 'svd'} or None",
             self.gcv_mode in (None, "auto", "eigen", "svd"))
        must(self, "alpha_per_target", "an instance of 'bool'", isinstance(self.alpha_per_target, (bool, np.bool_)))
        if self.cv is not None and self.alpha_per_target:
            raise ValueError("cv!=None and alpha_per_target=True are incompatible")
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], dtype=FLOATS, multi_output=True, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        self._choose(X, y, y.reshape(len(y), -1), sample_weight, y.ndim == 1, params)
        return self

    @property
    def _per_target(self) -> bool:
        return bool(self.alpha_per_target)

    @property
    def _by_svd(self) -> bool:
        return self.gcv_mode == "svd"

    def predict(self, X: Any) -> Any:
        """X @ coef_ + intercept_, (n,) or (n, n_targets)."""
        return self.linear(X)


class RidgeClassifierCV(Classifying, _RidgeCV):
    """`RidgeClassifier` at the best of several strengths, as in scikit-learn: `RidgeCV` on responses of ±1.

    Parameters are those of `RidgeCV`, less `gcv_mode` and `alpha_per_target`, and

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        {label: weight}; "balanced": n / (n_classes · rows of the class).

    Attributes
    ----------
    coef_ : (p,) for two classes, else (C, p)
    intercept_ : (1,) or (C,)
    classes_ : (C,)
    alpha_, best_score_, cv_results_, n_features_in_, feature_names_in_
        As in `RidgeCV`, with `cv_results_` (n, C or 1, n_alphas); accuracy decides where `cv` is given.
    """

    _default = "accuracy"

    def __init__(self, alphas: Any = (0.1, 1.0, 10.0), *, fit_intercept: bool = True, scoring: Any = None,
                 cv: Any = None, class_weight: Any = None, store_cv_results: bool = False) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.class_weight = class_weight
        self.store_cv_results = store_cv_results

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit to X (n, p), dense or sparse, and labels y (n,), or (n, C) of 0 and 1.

        Parameters
        ----------
        X : (n, p)
        y : (n,) or (n, C)
        sample_weight : float or (n,), optional
        **params
            As in `RidgeCV`.

        Raises
        ------
        ValueError
            Input or a parameter is not what it must be.
        """
        self._check_parameters()
        X, Y, sample_weight = self.targets(X, y, sample_weight)
        self._choose(X, np.asarray(y), Y, sample_weight, False, params)
        return self

    def _model(self, alpha: float) -> Any:
        model = RidgeClassifier(alpha, fit_intercept=self.fit_intercept)
        model.n_features_in_, model.classes_ = self.n_features_in_, self.classes_
        model._label_binarizer = self._label_binarizer
        return model
