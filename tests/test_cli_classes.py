"""The command line with several classes, held against the Python interface and scikit-learn."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file
from sklearn.metrics import accuracy_score, d2_log_loss_score

import regfast
from regfast.cli import main

RNG = np.random.default_rng(5)
N, FEATURES = 90, ["a", "b", "c", "d"]
FRAME = pd.DataFrame(RNG.standard_normal((N, 4)) * [1, 5, 0.1, 1], columns=FEATURES)
NAMES = np.array(["blue", "green, dark", "red"])
CHOICE = (FRAME.to_numpy() @ RNG.normal(size=(4, 3)) + RNG.gumbel(size=(N, 3))).argmax(axis=1)
WEIGHT = RNG.integers(0, 3, N).astype(float)
FIT = "fit t.csv --target y --weights w --family multinomial --cv 4 --alphas 12 --eps 0.01"
HOW = {"family": "multinomial", "sample_weight": WEIGHT, "cv": 4, "n_alphas": 12, "eps": 0.01}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.assign(w=WEIGHT, y=NAMES[CHOICE], o=0.0).to_csv("t.csv", index=False)
    return tmp_path


def run(capsys, command):
    code = main(command.split(" "))
    out, err = capsys.readouterr()
    return code, out, err


def columns_of(file):
    with open(file, encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    return dict(zip(head, map(list, zip(*rows, strict=True)), strict=True))


@pytest.fixture
def want():
    return regfast.fit_cv(FRAME.assign(o=0.0), NAMES[CHOICE], **HOW)


@pytest.mark.parametrize("rule", ["min", "1se"])
def test_the_fit_and_its_predictions_are_those_of_python(capsys, want, rule):
    assert run(capsys, f"{FIT} --model m.json --quiet") == (0, "", "")
    got = regfast.load("m.json")
    assert np.array_equal(got.scores, want.scores)
    assert np.array_equal(got.coef(rule), want.coef(rule))
    assert run(capsys, f"predict m.json t.csv --rule {rule} --out p.csv")[:2] == (0, "")
    columns = columns_of("p.csv")
    assert list(columns) == [*(f"probability_{name}" for name in NAMES), "label"]
    proba = np.array([columns[f"probability_{name}"] for name in NAMES], dtype=float).T
    np.testing.assert_allclose(proba, want.predict(FRAME.assign(o=0.0), rule), rtol=1e-12)
    assert columns["label"] == NAMES[proba.argmax(axis=1)].tolist()
    model = json.loads(Path("m.json").read_text())["models"][rule]
    assert model["alpha"] == want.alpha(rule)
    for name, coef, intercept in want.models(rule):
        assert model["outputs"][name]["intercept"] == intercept
        assert model["outputs"][name]["coefficients"] == {
            [*FEATURES, "o"][j]: coef[j] for j in np.flatnonzero(coef)}


def test_the_report(capsys, want):
    code, out, err = run(capsys, f"{FIT} --plot p.png --top 2")
    assert (code, err) == (0, "")
    assert "lasso: least the weighted mean log loss (logit link)" in out
    for name, coef, intercept in want.models():
        head = re.escape(f"{name!r}: {np.count_nonzero(coef)} of 5 features at alpha_min; intercept {intercept:.6g}")
        largest = np.argsort(-abs(coef * want.path.scales))[0]
        first = rf"{[*FEATURES, 'o'][largest]} +{re.escape(f'{coef[largest]:.6g}')}"
        assert re.search(rf"{head}\n.*\n.*\n.*\n  {first} ", out)
    y = NAMES[CHOICE]
    d2 = d2_log_loss_score(y, want.oof_predictions, sample_weight=WEIGHT)
    right = accuracy_score(y, NAMES[want.oof_predictions.argmax(axis=1)], sample_weight=WEIGHT)
    assert f"which the same folds chose: {d2:.4f}; accuracy {right:.4f}\n" in out
    assert "CV mean multinomial deviance" in out
    assert Path("p.png").read_bytes()[:4] == b"\x89PNG"


def test_labels_of_a_file_that_numbers_its_columns(capsys):
    dump_svmlight_file(FRAME.to_numpy(), CHOICE * 5 - 2, "t.svm")
    assert run(capsys, "fit t.svm --family multinomial --cv 3 --alphas 5 --eps 0.1 --model m.json --quiet")[0] == 0
    assert regfast.load("m.json").path.classes_.tolist() == [-2, 3, 8]
    assert run(capsys, "predict m.json t.svm --out p.csv") == (0, "", "")
    columns = columns_of("p.csv")
    assert list(columns) == ["probability_-2", "probability_3", "probability_8", "label"]
    assert set(columns["label"]) <= {"-2", "3", "8"}


@pytest.mark.parametrize(("command", "message"), [
    (f"{FIT} --offset o", "--offset: got 'o', but several classes need a column for each of them; fit them from Py"),
    ("fit one.csv --target y --family multinomial", "y must hold at least two classes; got one: 'x'"),
    ("fit t.csv --target y --family multinomial --cv 50", "cv=50 folds need at least as many rows of each class; "),
])  # fmt: skip
def test_mistakes_are_one_line_that_names_the_argument(capsys, command, message):
    Path("one.csv").write_text("a,y\n1,x\n2,x\n")
    code, out, err = run(capsys, f"{command} --quiet")
    assert (code, out) == (2, "")
    assert err.startswith(f"regfast: error: {message}")
    assert err.count("\n") == 1
