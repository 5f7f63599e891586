"""fit_cv for several classes, against scikit-learn on the same folds and fit_path on their rows."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

import regfast
from regfast import cv, fit_cv, fit_path, plots

Array = NDArray[Any]
RNG = np.random.default_rng(2)
N, P = 90, 5
X = RNG.normal(size=(N, P)) * [1, 2, 0.5, 1, 1] + [0, 1, 0, 0, 3]
NAMES = np.array(["blue", "green", "red"])
Y = NAMES[(X @ RNG.normal(size=(P, 3)) + RNG.gumbel(size=(N, 3))).argmax(axis=1)]
W, OFFSET = RNG.uniform(0.5, 2, N), RNG.normal(size=(N, 3))
FOLDS = list(StratifiedKFold(4, shuffle=True, random_state=0).split(X, Y))
FAMILY: dict[str, Any] = {"family": "multinomial"}
SHORT: dict[str, Any] = {"family": "multinomial", "n_alphas": 6, "eps": 0.02, "early_stop": False}
pytestmark = pytest.mark.filterwarnings("ignore:the best alpha")


@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_scores_are_those_of_scikit_learn(l1_ratio: float, weights: Any) -> None:
    w = np.ones(N) if weights is None else weights
    alphas = [0.1, 0.03]
    found = fit_cv(X, Y, cv=FOLDS, alphas=alphas, l1_ratio=l1_ratio, sample_weight=weights, standardize=False,
                   tol=1e-12, **FAMILY)
    for k, (train, test) in enumerate(FOLDS):
        for a, alpha in enumerate(alphas):
            theirs = LogisticRegression(C=1 / (alpha * w[train].sum()), l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000,
                                        solver="saga" if l1_ratio else "newton-cg")
            proba = theirs.fit(X[train], Y[train], w[train]).predict_proba(X[test])
            assert found.scores[k, a] == pytest.approx(2 * log_loss(Y[test], proba, sample_weight=w[test]), rel=1e-6)
            if alpha == found.alpha_min:
                assert_allclose(found.oof_predictions[test], proba, atol=1e-6)
    assert found.scoring == "deviance"
    assert_allclose(found.score_mean, np.average(found.scores, axis=0, weights=[w[test].sum() for _, test in FOLDS]))
    assert found.alpha_min == alphas[int(found.score_mean.argmin())]
    whole = 2 * log_loss(Y, found.oof_predictions, sample_weight=w)
    assert found.score_mean.min() == pytest.approx(whole, rel=1e-12)  # folds weigh as their rows


OPTIONS: dict[str, dict[str, Any]] = {
    "standardized": {},
    "origin": {"fit_intercept": False},
    "weights and offset": {"sample_weight": W, "offset": OFFSET},
    "bounds": {"bounds": (-0.2, np.inf)},
    "free": {"penalty_factors": np.array([0, 1, 1, 2, np.inf])},
}


@pytest.mark.parametrize("storage", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_fold_is_a_slice_of_rows(name: str, storage: Any) -> None:
    options, A = OPTIONS[name], storage(X)
    found = fit_cv(A, Y, cv=FOLDS, alphas=[0.1, 0.03], tol=1e-11, **options, **FAMILY)
    for k, (train, test) in enumerate(FOLDS):
        part = {key: value[train] if key in ("sample_weight", "offset") else value for key, value in options.items()}
        path = fit_path(X[train], Y[train], alphas=[0.1, 0.03], tol=1e-11, **part, **FAMILY)
        proba = path.predict(X[test], offset=OFFSET[test] if "offset" in options else None)
        w = W[test] if "sample_weight" in options else None
        assert_allclose(found.scores[k], [2 * log_loss(Y[test], proba[:, a], sample_weight=w) for a in range(2)],
                        rtol=1e-5)
    assert_array_equal(found.path.coef_at(0.03), fit_path(A, Y, alphas=[0.1, 0.03], tol=1e-11, **options,
                                                          **FAMILY).coef_at(0.03))


SCORES: dict[str, tuple[Any, Any]] = {
    "accuracy": ("accuracy", lambda y, p, w: accuracy_score(y, NAMES[p.argmax(1)], sample_weight=w)),
    "log_loss": ("neg_log_loss", lambda y, p, w: -log_loss(y, p, sample_weight=w)),
    "auc": ("roc_auc_ovr", lambda y, p, w: roc_auc_score(y, p, sample_weight=w, multi_class="ovr")),
    "f1": ("f1_macro", lambda y, p, w: f1_score(y, NAMES[p.argmax(1)], sample_weight=w, average="macro")),
    "callable": (make_scorer(balanced_accuracy_score),
                 lambda y, p, w: balanced_accuracy_score(y, NAMES[p.argmax(1)], sample_weight=w)),
}


@pytest.mark.parametrize("name", SCORES)
def test_scorers_of_scikit_learn(name: str) -> None:
    scoring, metric = SCORES[name]
    found = fit_cv(X, Y, cv=FOLDS, scoring=scoring, sample_weight=W, offset=OFFSET, tol=1e-10, **SHORT)
    for k, (train, test) in enumerate(FOLDS):
        path = fit_path(X[train], Y[train], alphas=found.path.alphas, sample_weight=W[train], offset=OFFSET[train],
                        tol=1e-10, **FAMILY)
        proba = path.predict(X[test], offset=OFFSET[test])
        assert_allclose(found.scores[k], [metric(Y[test], proba[:, a], W[test]) for a in range(6)], atol=1e-5)
    assert found.alpha_min == found.path.alphas[found.score_mean.argmax()]  # greater is better


def test_the_result(tmp_path: Path) -> None:
    found = fit_cv(X, Y, cv=4, l1_ratio=[0.3, 1.0], **SHORT)
    single = [fit_cv(X, Y, cv=4, l1_ratio=r, **SHORT) for r in (0.3, 1.0)]
    assert_array_equal(found.l1_scores, [one.score_mean.min() for one in single])
    assert_array_equal(found.scores, single[int(found.l1_scores.argmin())].scores)
    assert_array_equal(found.scores, fit_cv(X, Y, cv=FOLDS, l1_ratio=found.l1_ratio_best, **SHORT).scores)
    for rule in ("min", "1se"):
        alpha = found.alpha(rule)
        assert_array_equal(found.predict(X, rule), found.path.predict(X, alpha))
        assert found.predict(X, rule, kind="class").tolist() == found.path.predict(X, alpha, kind="class").tolist()
        for c, (label, coef, intercept) in enumerate(found.models(rule)):
            assert label == NAMES[c]
            assert_array_equal(coef, found.coef(rule)[c])
            assert intercept == found.intercept(rule)[c]
    assert found.oof_predictions.shape == (N, 3)
    assert_allclose(found.oof_predictions.sum(axis=1), 1, rtol=1e-12)
    found.save(tmp_path / "m.json")
    for again in (regfast.load(tmp_path / "m.json"), pickle.loads(pickle.dumps(found))):
        assert isinstance(again, regfast.CVPath)
        for name in ("scores", "score_mean", "score_se", "oof_predictions", "l1_scores"):
            assert_array_equal(getattr(again, name), getattr(found, name))
        assert_array_equal(again.predict(X, "1se"), found.predict(X, "1se"))
        assert repr(again) == repr(found)
    frame = found.path.to_frame()
    assert frame["class"].unique().tolist() == NAMES.tolist()
    lasso = single[1].path
    deviance = [2 * log_loss(Y, proba) for proba in np.moveaxis(lasso.predict(X), 1, 0)]
    parameters = np.sum([np.diff(part.indptr) for part in lasso.coefs], axis=0) + 2
    best = np.argmin(N * np.array(deviance) + np.log(N) * parameters)
    assert lasso.select("bic") == lasso.alphas[best]


def test_rows_that_no_fold_holds_out_have_no_prediction(tmp_path: Path) -> None:
    found = fit_cv(X, Y, cv=FOLDS[:2], **SHORT)
    held = np.isin(np.arange(N), np.concatenate([test for _, test in FOLDS[:2]]))
    assert_array_equal(np.isnan(found.oof_predictions), np.repeat(~held[:, None], 3, axis=1))
    found.save(tmp_path / "m.json")
    again = regfast.load(tmp_path / "m.json")
    assert isinstance(again, regfast.CVPath)
    assert_array_equal(again.oof_predictions, found.oof_predictions)


def test_threads_and_storage_change_nothing() -> None:
    alone = fit_cv(X, Y, cv=5, sample_weight=W, offset=OFFSET, **SHORT)
    frozen = [a.copy() for a in (X, Y, W, OFFSET)]
    for a in frozen:
        a.flags.writeable = False
    for n_jobs in (2, -1):
        other = fit_cv(frozen[0], frozen[1], cv=5, sample_weight=frozen[2], offset=frozen[3], n_jobs=n_jobs, **SHORT)
        assert other.scores.tobytes() == alone.scores.tobytes()
        assert other.oof_predictions.tobytes() == alone.oof_predictions.tobytes()
        assert other.path.coef_at(other.alpha_min).tobytes() == alone.path.coef_at(alone.alpha_min).tobytes()


def test_an_int_stratifies_labels_and_keeps_groups() -> None:
    groups = np.arange(N) // 5
    for given, splitter in ((None, StratifiedKFold), (groups, StratifiedGroupKFold)):
        folds = list(splitter(3, shuffle=True, random_state=1).split(X, np.unique(Y, return_inverse=True)[1], given))
        found = fit_cv(X, Y, cv=3, groups=given, random_state=1, **SHORT)
        assert_array_equal(found.scores, fit_cv(X, Y, cv=folds, **SHORT).scores)


def test_counts_of_classes() -> None:
    """Each row as often as it counts; scorers see shares, not labels."""
    counts = RNG.integers(0, 4, (N, 3)) + np.eye(3, dtype=int)[np.unique(Y, return_inverse=True)[1]]
    folds = list(StratifiedKFold(3).split(X, Y))
    total = counts.sum(axis=1)
    how: dict[str, Any] = {"l1_ratio": [0.9, 1.0], "standardize": False, "tol": 1e-11, "alphas": [0.1, 0.03], **FAMILY}
    found = fit_cv(X, counts, cv=folds, **how)
    assert found.path.n_samples == total.sum()
    rows, labels = np.repeat(np.arange(N), total), np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    parts = [(np.flatnonzero(np.isin(rows, train)), np.flatnonzero(np.isin(rows, test))) for train, test in folds]
    one = fit_cv(X[rows], labels, cv=parts, **how)
    assert_allclose(found.path.coef_at(0.03), one.path.coef_at(0.03), atol=1e-5)
    shares = counts / total[:, None]
    spread = [2 * np.average(entropy(shares[test], axis=1), weights=total[test]) for _, test in folds]
    assert_allclose(found.scores + np.array(spread)[:, None], one.scores, rtol=1e-6)  # labels have none
    squares = fit_cv(X, counts, cv=folds, scoring="neg_mean_squared_error", alphas=[0.1, 0.03], **FAMILY)
    at = int(squares.score_mean.argmax())
    for k, (_, test) in enumerate(folds):
        each = ((shares - squares.oof_predictions)[test] ** 2).mean(axis=1)
        assert squares.scores[k, at] == pytest.approx(-np.average(each, weights=total[test]), rel=1e-9)
    two = fit_cv(X, counts[:, :2] + 1, family="binomial", cv=3, l1_ratio=[1.0, 0.0], alphas=[1.0, 0.1])
    assert two.path.n_samples == (counts[:, :2] + 1).sum()


def test_what_is_said_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    without = [(np.flatnonzero(Y != "red"), np.flatnonzero(Y == "red")), FOLDS[0]]
    rare = np.where(np.arange(N) < 3, "rare", Y)
    monkeypatch.setattr(cv, "solve", lambda *_, **__: pytest.fail("worked first"))
    for y, options, message in (
        (Y, {"cv": without}, "cv: in the training rows of fold 0, y must hold every class .* class 2 has none"),
        (rare, {"cv": 5}, "cv=5 folds need at least as many rows of each class; the smallest one has 3"),
        (Y, {"scoring": "roc_auc"}, "scoring='roc_auc' cannot score family='multinomial'"),
        (Y, {"scoring": "r2"}, "scoring='r2' cannot score family='multinomial'"),
        (Y, {"offset": OFFSET[:, 0]}, r"offset must be \(90, 3\), a column for each predictor"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_cv(X, y, **options, **FAMILY)


def test_a_score_that_a_fold_does_not_define() -> None:
    folds = [(np.flatnonzero(np.arange(N) != i), np.array([i])) for i in range(3)]
    with pytest.raises(ValueError, match="class"):
        fit_cv(X, Y, cv=folds, scoring="roc_auc_ovr", **SHORT)


def test_an_interrupt_carries_the_path_of_all_rows() -> None:
    whole = fit_path(X, Y, **SHORT)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for n_jobs in (1, 2):
        with pytest.raises(KeyboardInterrupt) as caught:
            fit_cv(X, Y, cv=4, n_jobs=n_jobs, progress=interrupt, **SHORT)
        assert_array_equal(vars(caught.value)["partial"].coef_at(whole.alphas[-1]), whole.coef_at(whole.alphas[-1]))


def test_the_picture_shows_lengths() -> None:
    found = fit_cv(X, Y, cv=4, **SHORT)
    left, right = found.plot().axes
    assert left.get_ylabel() == "mean multinomial deviance, held-out rows"
    assert right.get_ylabel().startswith("length of the 3 coefficients")
    for line in right.get_lines():
        name = str(line.get_label())
        if name.startswith("x"):
            rows = np.array([part.toarray()[int(name[1:])] for part in found.path.coefs])
            assert_allclose(line.get_ydata(), np.linalg.norm(rows, axis=0) * found.path.scales[int(name[1:])])
    one = plots.plot_path(found.path.of("red"))
    assert one.get_ylabel().startswith("coefficient ")
