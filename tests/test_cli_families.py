"""The command line with likelihoods other than squared error, held against the Python interface and scikit-learn."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from matplotlib.figure import Figure
from pyarrow import parquet
from sklearn.datasets import dump_svmlight_file
from sklearn.metrics import accuracy_score, d2_log_loss_score, d2_tweedie_score, roc_auc_score

import regfast
from regfast import plots, report
from regfast.cli import main
from regfast.tables import read_features, read_table

RNG = np.random.default_rng(3)
N, FEATURES = 120, ["a", "b", "c", "d"]
FRAME = pd.DataFrame(RNG.standard_normal((N, 4)) * [1, 5, 0.1, 1], columns=FEATURES)
ETA = (FRAME["a"] - FRAME["b"] / 5).to_numpy()
WEIGHT, OFFSET = RNG.integers(0, 3, N).astype(float), RNG.normal(size=N)
SECOND = RNG.logistic(size=N) < 1.5 * ETA
TARGETS = {
    "text": np.where(SECOND, "yes, \"it\" is", "no"),
    "whole": np.where(SECOND, 7, -2),
    "flag": SECOND,
    "share": np.round(1 / (1 + np.exp(-ETA)), 2),
    "count": RNG.poisson(np.exp(ETA / 2)),
    "amount": RNG.gamma(2, np.exp(ETA / 3)),
    "claim": np.where(RNG.random(N) < 0.3, 0, RNG.gamma(2, np.exp(ETA / 3))),
}
LABELS = ["text", "whole", "flag"]
FAMILY = {"share": "binomial", "count": "poisson", "amount": "gamma", "claim": "tweedie(1.5)"}
POWER = {"poisson": 1, "gamma": 2, "tweedie(1.5)": 1.5}
every_target = pytest.mark.parametrize("target", TARGETS)
every_label = pytest.mark.parametrize("target", LABELS)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, y in TARGETS.items():
        FRAME.assign(w=WEIGHT, o=OFFSET, y=y).to_csv(f"{name}.csv", index=False)
        FRAME.assign(y=y).to_csv(f"{name}_plain.csv", index=False)
    return tmp_path


def run(capsys, command):
    code = main(command.split(" "))
    out, err = capsys.readouterr()
    return code, out, err


def family(target):
    return FAMILY.get(target, "binomial")


def columns_of(file):
    with open(file, encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    return dict(zip(head, map(list, zip(*rows, strict=True)), strict=True))


# ---- fit, model, predict


@every_target
def test_the_fit_and_its_predictions_are_those_of_python(capsys, target):
    fit = f"fit {target}.csv --target y --weights w --offset o --family {family(target)} --cv 4 --alphas 20"
    assert run(capsys, f"{fit} --model m.json --quiet") == (0, "", "")
    got = regfast.load("m.json")
    want = regfast.fit_cv(FRAME, TARGETS[target], family=family(target), sample_weight=WEIGHT, offset=OFFSET, cv=4,
                          n_alphas=20)
    assert got.path.family == family(target)
    assert np.array_equal(got.path.coefs.toarray(), want.path.coefs.toarray())
    assert np.array_equal(got.scores, want.scores)
    for rule in ("min", "1se"):
        assert run(capsys, f"predict m.json {target}.csv --offset o --rule {rule} --out p.csv")[:2] == (0, "")
        columns, mean = columns_of("p.csv"), want.predict(FRAME, rule, offset=OFFSET)
        if target in LABELS:
            assert list(columns) == ["probability", "label"]
            assert columns["label"] == [str(label) for label in np.unique(TARGETS[target])[(mean > 0.5).astype(int)]]
        else:
            assert list(columns) == ["prediction"]
        np.testing.assert_allclose(np.array(next(iter(columns.values())), dtype=float), mean, rtol=1e-12)


@every_target
def test_quality_as_scikit_learn_measures_it(capsys, target):
    likelihood, y = family(target), TARGETS[target]
    code, out, err = run(capsys, f"fit {target}.csv --target y --weights w --family {likelihood} --cv 4 --model m.json")
    assert (code, err) == (0, "")
    cv = regfast.load("m.json")
    k = cv.path.alphas.tolist().index(cv.alpha_min)
    if likelihood in POWER:
        d2 = d2_tweedie_score(y, cv.oof_predictions, sample_weight=WEIGHT, power=POWER[likelihood])
    elif target in LABELS:
        d2 = d2_log_loss_score(SECOND, cv.oof_predictions, sample_weight=WEIGHT)
    else:  # a share s is a success of weight s and a failure of weight 1 - s; a constant entropy goes off both losses
        both, w = np.repeat([1, 0], N), np.concatenate([WEIGHT * y, WEIGHT * (1 - y)])
        null, here = (-w @ np.log(np.concatenate([m, 1 - m])) for m in (np.full(N, w[both == 1].sum() / w.sum()),
                                                                        cv.oof_predictions))
        least = -w @ np.log(np.concatenate([y, 1 - y]))
        d2 = (null - here) / (null - least)
    line = f"out-of-fold deviance explained at alpha_min, which the same folds chose: {d2:.4f}"
    if target in LABELS:
        right = accuracy_score(SECOND, cv.oof_predictions > 0.5, sample_weight=WEIGHT)
        area = roc_auc_score(SECOND, cv.oof_predictions, sample_weight=WEIGHT)
        line += f"; accuracy {right:.4f}, AUC {area:.4f}"
        first, second = np.unique(y).tolist()
        assert f"probabilities are those of {second!r}, against {first!r}\n" in out
    assert f"{line}\n" in out
    assert re.search(rf"\n +min +{cv.alpha_min:.6g} +{cv.score_mean[k]:.6g} ± {cv.score_se[k]:.3g} ", out)
    named = {"binomial": "binomial", "poisson": "Poisson", "gamma": "gamma", "tweedie(1.5)": "Tweedie"}[likelihood]
    assert f"CV mean {named} deviance" in out
    assert f"\n{report.objective([1.0], True, True, True, likelihood)}\n" in out


@every_label
def test_labels_survive_json_and_other_formats(capsys, target):
    y = TARGETS[target]
    run(capsys, f"fit {target}_plain.csv --target y --family binomial --cv 3 --alphas 5 --model m.json --quiet")
    classes = regfast.load("m.json").path.classes_
    assert classes.tolist() == np.unique(y).tolist()
    assert classes.dtype.kind == y.dtype.kind
    assert json.loads(Path("m.json").read_text())["cv"]["path"]["classes_"] == np.unique(y).tolist()
    S = sp.csr_array(FRAME.to_numpy())
    np.savez("t.npz", format=b"csr", shape=S.shape, data=S.data, indices=S.indices, indptr=S.indptr, y=y, o=OFFSET)
    arrow = pa.table({**FRAME, "y": pa.array(y).dictionary_encode() if target == "text" else pa.array(y), "o": OFFSET})
    parquet.write_table(arrow, "t.parquet")
    for file in ("t.npz", "t.parquet"):
        table = read_table(file, "y", offset="o", labels=True)
        assert table.y.dtype.kind == y.dtype.kind
        assert np.array_equal(table.y, y)
        assert np.array_equal(table.offset, OFFSET)
        assert table.X.shape == (N, 4)
        assert np.array_equal(read_features(file, None if file == "t.npz" else FEATURES, 4, "o").offset, OFFSET)
        assert run(capsys, f"predict m.json {file} --out {file}.csv")[:2] == (0, "")
    assert run(capsys, f"predict m.json {target}_plain.csv --out p.csv")[0] == 0
    assert Path("p.csv").read_text() == Path("t.parquet.csv").read_text()
    assert columns_of("p.csv")["label"] == columns_of("t.npz.csv")["label"]  # (sparse sums round differently)


def test_svmlight_counts_its_labels_in_whole_numbers(capsys):
    dump_svmlight_file(FRAME.to_numpy(), TARGETS["whole"], "t.svm")
    assert run(capsys, "fit t.svm --family binomial --cv 3 --alphas 5 --model m.json --quiet") == (0, "", "")
    assert regfast.load("m.json").path.classes_.tolist() == [-2, 7]
    assert read_table("t.svm", labels=True).y.dtype == np.int64
    dump_svmlight_file(FRAME.to_numpy(), TARGETS["share"], "t.svm")
    assert np.array_equal(read_table("t.svm", labels=True).y, TARGETS["share"])


@pytest.mark.parametrize("plain", ["4", "o"])
def test_an_offset_of_a_sparse_archive(capsys, plain):
    S = sp.csr_array(np.column_stack([FRAME, OFFSET]) if plain == "4" else FRAME.to_numpy())
    extra = {} if plain == "4" else {"o": OFFSET}
    np.savez("t.npz", format=b"csr", shape=S.shape, data=S.data, indices=S.indices, indptr=S.indptr,
             y=TARGETS["count"], **extra)
    assert run(capsys, f"fit t.npz --offset {plain} --family poisson --cv 3 --model m.json --quiet") == (0, "", "")
    assert run(capsys, f"predict m.json t.npz --offset {plain} --out p.csv") == (0, "", "")
    want = regfast.fit_cv(sp.csr_array(FRAME), TARGETS["count"], family="poisson", offset=OFFSET, cv=3)
    mean = want.predict(sp.csr_array(FRAME), offset=OFFSET)
    np.testing.assert_allclose(np.loadtxt("p.csv", skiprows=1), mean, rtol=1e-12)


# ---- words


@pytest.mark.parametrize(("name", "weighted", "want"), [
    ("binomial", False, "the mean log loss (logit link)"),
    ("binomial", True, "the weighted mean log loss (logit link)"),
    ("poisson", False, "half the mean Poisson deviance (log link)"),
    ("gamma", True, "half the weighted mean gamma deviance (log link)"),
    ("tweedie(1.5)", False, "half the mean Tweedie deviance of power 1.5 (log link)"),
])  # fmt: skip
def test_objective_in_words(name, weighted, want):
    assert report.objective([1.0], False, True, weighted, name) == (
        f"lasso: least {want} + alpha × sum of |coefficient|; the intercept is not penalised")


@pytest.mark.parametrize("target", ["flag", "count", "amount", "claim"])
def test_the_axis_names_the_deviance(target):
    cv = regfast.fit_cv(FRAME, TARGETS[target], family=family(target), cv=3, n_alphas=5)
    measure = {"flag": "binomial deviance", "count": "Poisson deviance", "amount": "gamma deviance",
               "claim": "Tweedie deviance of power 1.5"}[target]
    assert plots.plot_cv(cv, Figure().subplots()).get_ylabel() == f"mean {measure}, held-out rows"


# ---- mistakes


@pytest.mark.parametrize(("command", "message"), [
    ("fit text.csv --target y --family logistic", "family must be one of 'gaussian', 'binomial', "),
    ("fit claim.csv --target y --family tweedie(3)", "power must be 0 or lie in [1, 2]; got 3.0"),
    ("fit claim.csv --target y --family tweedie(1.5.1)", "family must be one of 'gaussian', "),
    ("fit text.csv --target y", "target: text.csv: columns that are not numeric: 'y' (e.g. "),
    ("fit text.csv --target y --family poisson", "target: text.csv: columns that are not numeric: 'y' (e.g. "),
    ("fit count.csv --target y --family binomial", "y must hold two classes for family='binomial'; got "),
    ("fit claim.csv --target y --family gamma", "y must be positive for family='gamma'; got 0 at position "),
    ("fit whole.csv --target y --family poisson", "y must not be negative for family='poisson'; got -2 at position "),
    ("fit gaps.csv --target y --family binomial", "gaps.csv: missing values in 'y' (2 of 3); want none"),
    ("fit count.csv --target y --offset none", "offset: count.csv has no column called 'none'; it has 'a', "),
    ("fit t.svm --offset o --family poisson", "offset: got 'o', but t.svm is svmlight, where "),
    ("predict with.json count.csv", "--offset: the model was fitted with an offset; name its column"),
    ("predict without.json count.csv --offset o", "--offset: got 'o', but the model was fitted without one; leave "),
])  # fmt: skip
def test_mistakes_are_one_line_that_names_the_argument(capsys, command, message):
    Path("gaps.csv").write_text('a,y\n1,yes\n2,\n3,""\n')
    Path("t.svm").write_text("1 1:3\n2 2:4\n")
    for name, how in {"with": {"offset": OFFSET}, "without": {}}.items():
        regfast.fit_path(FRAME, TARGETS["count"], family="poisson", alphas=[0.1], **how).save(f"{name}.json")
    code, out, err = run(capsys, f"{command} --quiet" if command.startswith("fit") else command)
    assert (code, out) == (2, "")
    assert err.startswith(f"regfast: error: {message}")
    assert err.count("\n") == 1
