"""Nested cross-validation, comparison of penalties and what the folds agree on, against loops written out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from regfast import compare_penalties, fit_cv, fit_path, score_nested

X, Y, W = make_data(n=90, p=8)
LABELS = np.where(np.median(Y) < Y, "yes", "no")
OUTER = list(KFold(4, shuffle=True, random_state=3).split(X))
# grids are short, so that the tests are: in a fold the best α is then often the last, and is told, rightly
pytestmark = pytest.mark.filterwarnings("ignore:the best alpha")


@pytest.mark.parametrize("rule", ["min", "1se", "within 5%", 3, "bic"])
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
def test_each_outer_fold_is_a_whole_procedure_on_a_slice(rule: Any, weights: Any) -> None:
    found = score_nested(X, Y, cv=OUTER, inner=3, rule=rule, sample_weight=weights, n_alphas=25, tol=1e-12)
    w = np.ones(90) if weights is None else weights
    scores = []
    for k, (train, test) in enumerate(OUTER):
        train = train[w[train] > 0]
        inner = list(KFold(3, shuffle=True, random_state=0).split(train))
        data = {"X": X[train], "y": Y[train], "sample_weight": w[train]}
        cv = fit_cv(**data, cv=inner, n_alphas=25, tol=1e-12)
        alpha = cv.alpha(rule, **data)
        predicted = X[test] @ cv.coef(rule, **data) + cv.intercept(rule, **data)
        assert found.alphas[k] == pytest.approx(alpha, rel=1e-5)
        assert_allclose(found.predictions[test], predicted, rtol=1e-4)
        assert found.n_nonzero[k] == np.count_nonzero(cv.coef(rule, **data))
        scores.append(w[test] @ (Y[test] - predicted) ** 2 / w[test].sum())
    assert_allclose(found.scores, scores, rtol=1e-4)
    weight = np.array([w[test].sum() for _, test in OUTER]) / w.sum()
    assert found.mean == pytest.approx(weight @ found.scores)
    assert found.se == pytest.approx(np.sqrt(weight @ (found.scores - found.mean) ** 2 / 3))
    assert "over 4 folds" in repr(found)


def test_labels_groups_offsets_scorers_and_storage() -> None:
    offset, groups = np.cos(np.arange(90.0)), np.arange(90) // 6
    found = score_nested(sp.csr_array(X), LABELS, cv=3, inner=3, family="binomial", offset=offset, n_alphas=15,
                         scoring="neg_log_loss", random_state=1)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=1).split(X, LABELS))
    for k, (_, test) in enumerate(folds):
        assert found.scores[k] == pytest.approx(-log_loss(LABELS[test], found.predictions[test]))
    grouped = score_nested(pd.DataFrame(X), Y, cv=GroupKFold(3), inner=4, groups=groups, n_alphas=15)
    for train, test in GroupKFold(3).split(X, Y, groups):
        assert not set(groups[train]) & set(groups[test])
    assert np.isfinite(grouped.predictions).all()
    several = score_nested(X, np.digitize(Y, np.quantile(Y, [0.3, 0.6])), family="multinomial", cv=2, inner=2,
                           l1_ratio=[0.5, 1.0], n_alphas=8, eps=0.05)
    assert_allclose(several.predictions.sum(axis=1), 1)
    with pytest.raises(ValueError, match="rule must be one of"):
        score_nested(X, Y, rule="best")


def test_the_least_error_is_too_low_and_the_nested_one_is_not() -> None:
    """Pure noise: no procedure predicts better than the mean, and the nested score says so on average."""
    plain, honest = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        A, y = rng.standard_normal((40, 30)), rng.standard_normal(40)
        null = fit_cv(A, y, cv=5, alphas=[1e6]).score_mean[0]
        plain.append(fit_cv(A, y, cv=5, n_alphas=30).score_mean.min() / null)
        honest.append(score_nested(A, y, cv=5, n_alphas=30).mean / null)
    assert np.mean(plain) < np.mean(honest)
    assert np.mean(honest) >= 1


def test_penalties_are_compared_on_the_same_folds() -> None:
    found = compare_penalties(X, Y, cv=OUTER, sample_weight=W, n_alphas=30)
    assert found.names == ["L1", "elastic net", "L2"]
    weight = np.array([W[test].sum() for _, test in OUTER]) / W.sum()
    for i, ratio in enumerate([1.0, [0.1, 0.3, 0.5, 0.7, 0.9], 0.0]):
        cv = fit_cv(X, Y, cv=OUTER, sample_weight=W, n_alphas=30, l1_ratio=ratio)
        assert_array_equal(found.scores[i], cv.scores[:, cv.score_mean.argmin()])
        assert (found.alphas[i], found.l1_ratios[i]) == (cv.alpha_min, cv.l1_ratio_best)
        assert found.mean[i] == pytest.approx(cv.score_mean.min())
        for j in range(3):
            d = found.scores[i] - found.scores[j]
            assert found.difference[i, j] == pytest.approx(weight @ d)
            assert found.difference_se[i, j] == pytest.approx(np.sqrt(weight @ (d - weight @ d) ** 2 / 3))
    assert found.best == found.mean.argmin()
    assert "less" in repr(found)
    inner = compare_penalties(X, Y, cv=OUTER, inner=3, n_alphas=10, penalties={"L1": 1.0, "L2": 0.0})
    for i, ratio in enumerate([1.0, 0.0]):
        assert_array_equal(inner.scores[i], score_nested(X, Y, cv=OUTER, inner=3, n_alphas=10, l1_ratio=ratio).scores)
    with pytest.raises(ValueError, match="penalties must name at least one"):
        compare_penalties(X, Y, penalties={})


def test_what_the_folds_agree_on() -> None:
    cv = fit_cv(X, Y, cv=OUTER, keep_folds=True)
    assert cv.folds is not None
    for rule in ("min", "1se"):
        alpha = cv.alpha(rule)
        coefs = np.array([path.coef_at(alpha) for _, _, path in cv.folds])
        assert_array_equal(cv.fold_coefs(rule), coefs)
        assert_array_equal(cv.selection_frequency(rule), (coefs != 0).mean(axis=0))
        held = cv.out_of_fold(X, rule)
        for (_, test), b, (_, _, path) in zip(OUTER, coefs, cv.folds, strict=True):
            assert_allclose(held[test], X[test] @ b + path.intercept_at(alpha))
    assert_allclose(cv.out_of_fold(X), cv.oof_predictions)
    first = cv.folds[0][2]
    alone = fit_path(X[OUTER[0][0]], Y[OUTER[0][0]], alphas=[cv.alpha_min])
    assert_allclose(first.coef_at(cv.alpha_min), alone.coefs.toarray()[:, 0], atol=1e-4)
    labels = fit_cv(X, LABELS, family="binomial", cv=3, n_alphas=10, keep_folds=True)
    assert set(labels.out_of_fold(X, kind="class")) == {"yes", "no"}
    part = fit_cv(X, Y, cv=OUTER[:2], n_alphas=10, keep_folds=True).out_of_fold(X)
    assert np.isnan(part).sum() == 90 - sum(len(test) for _, test in OUTER[:2])
    with pytest.raises(ValueError, match=r"the folds were not kept: fit_cv\(..., keep_folds=True\)"):
        fit_cv(X, Y, cv=3, n_alphas=5).selection_frequency()


def test_overlap_of_the_supports() -> None:
    cv = fit_cv(X, Y, cv=4)
    rules = ["min", "1se", "bic", 0, "within 0%"]
    sets = [set(np.flatnonzero(cv.coef(rule))) for rule in rules]
    found = cv.jaccard(rules)
    for i, a in enumerate(sets):
        for j, b in enumerate(sets):
            assert found[i, j] == (len(a & b) / len(a | b) if a | b else 1.0)
