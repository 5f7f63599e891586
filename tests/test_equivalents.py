"""`equivalent`: the code is run where its library is there, and its constants are evaluated where not."""

import math
import re
import shutil
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from roster import ETA, RESPONSES, ROSTER, W, X

import regfast
from regfast import certify, conventions
from regfast.equivalents import LIBRARIES, Code, equivalent
from regfast.statement import Statement

Array = NDArray[Any]
ALPHA = 0.07
KIND = {"gaussian": "number", "binomial": "two", "multinomial": "three", "poisson": "count", "gamma": "amount",
        "tweedie(1.5)": "count", "multigaussian": "numbers"}
every_mix = pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
every_scale = pytest.mark.parametrize("standardize", [True, False], ids=["standardized", "as is"])
every_intercept = pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "origin"])
weighing = pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])


def run(code: str, y: Array, weights: Any = None, **names: Any) -> dict[str, Any]:
    """The names that Python code has set."""
    there: dict[str, Any] = {"X": X.copy(), "y": y.copy(), "weights": weights, **names}
    if weights is not None:
        first = "w = np.ones(len(y))  # sample weights, if there are any"
        assert first in code
        code = code.replace(first, "w = weights")
    exec(code, there)
    return there


def gap(s: Statement, y: Array, coef: Any, intercept: Any, **more: Any) -> float:
    return certify(X, y, coef, intercept, alpha=ALPHA, l1_ratio=s.l1_ratio, family=s.family, standardize=s.standardize,
                   fit_intercept=s.fit_intercept, penalty_factors=s.penalty_factors, bounds=s.bounds,
                   group_classes=s.grouped and s.family == "multinomial", **more).gap


def on_data_scale(model: Any) -> tuple[Any, Any]:
    """Coefficients and intercept of a scikit-learn model, or of one behind a scaler."""
    if not hasattr(model, "steps"):
        return model.coef_, model.intercept_
    scaler, last = model[0], model[-1]
    coef = last.coef_ / scaler.scale_
    return coef, last.intercept_ - (coef @ scaler.mean_ if scaler.with_mean else 0)


@weighing
@every_intercept
@every_scale
@every_mix
@pytest.mark.parametrize("family", KIND)
def test_scikit_learn(family: str, l1_ratio: float, standardize: bool, fit_intercept: bool, weights: Any) -> None:
    s = Statement(family, ALPHA, False, l1_ratio, fit_intercept, standardize, grouped=family == "multigaussian")
    if l1_ratio and family in ("poisson", "gamma", "tweedie(1.5)"):
        with pytest.raises(ValueError, match=f"scikit-learn has no model with an L1 penalty for {re.escape(family)}"):
            equivalent(s, "sklearn")
        return
    y, code = RESPONSES[KIND[family]], equivalent(s, "sklearn")
    if "takes no sample weights" in code:
        weights = None
    coef, intercept = on_data_scale(run(code, y, weights)["model"])
    if family not in ("multinomial", "multigaussian"):
        coef, intercept = np.ravel(coef), np.ravel(intercept)[0]
    assert gap(s, y, coef, intercept, sample_weight=weights) < 1e-9


@pytest.mark.parametrize("family", ["gaussian", "poisson", "binomial"])
def test_scikit_learn_takes_sparse_data_and_bounds(family: str) -> None:
    y = RESPONSES[KIND[family]]
    s = Statement(family, ALPHA, False, 0.0 if family == "poisson" else 0.4, standardize=True)
    there = run(equivalent(s, "sklearn"), y, X=sp.csr_array(X))
    coef, intercept = on_data_scale(there["model"])
    assert gap(s, y, np.ravel(coef), np.ravel(intercept)[0]) < 1e-8
    for mix in (0.0, 0.4, 1.0):
        s = Statement("gaussian", ALPHA, False, mix, bounds=(0, np.inf))
        model = run(equivalent(s, "sklearn"), RESPONSES["number"])["model"]
        assert gap(s, RESPONSES["number"], model.coef_, model.intercept_) < 1e-8
    s = Statement("gaussian", ALPHA, has_offset=True)
    model = run(equivalent(s, "sklearn"), RESPONSES["number"], o=ETA)["model"]
    assert gap(s, RESPONSES["number"], model.coef_, model.intercept_, offset=ETA) < 1e-9


@pytest.mark.parametrize("name", [name for name, entry in ROSTER.items() if "classifier" not in name])
def test_estimators_state_themselves(name: str) -> None:
    """C, Ridge's alpha, what cross-validation chose, class weights: through the code to the same predictions."""
    entry = ROSTER[name]
    ours = entry.ours()
    if not entry.name.endswith("CV"):
        assert isinstance(ours.equivalent("sklearn"), Code)  # without data
    fit_args = {"sample_weight": W} if entry.weighted else {}
    ours.fit(X, entry.y, **fit_args)
    model = run(ours.equivalent("sklearn"), entry.y, W if entry.weighted else None)["model"]
    read = "predict_proba" if hasattr(ours, "predict_proba") else "predict"
    np.testing.assert_allclose(getattr(model, read)(X), getattr(ours, read)(X), rtol=1e-4, atol=1e-4)
    assert regfast.certify_estimator(model, X, entry.y, **fit_args).gap < 1e-9 if name != "lasso of several" else True


@pytest.mark.parametrize("strength", [0.0, ALPHA])
def test_paths_state_themselves(strength: float) -> None:
    path = regfast.fit_path(X, RESPONSES["number"], alphas=[0.5, strength], l1_ratio=0.5, tol=1e-12)
    model = run(path.equivalent("sklearn", strength), RESPONSES["number"])["model"]
    np.testing.assert_allclose(model.predict(X), path.predict(X, strength), atol=1e-6)
    chosen = regfast.fit_cv(X, RESPONSES["number"], cv=4)
    model = run(chosen.equivalent("sklearn", "1se"), RESPONSES["number"])["model"]
    np.testing.assert_allclose(model.predict(X), chosen.predict(X, "1se"), atol=1e-4)


# ------------------------------------------------------------------------------------------ statsmodels


@weighing
@every_intercept
@every_scale
@pytest.mark.parametrize(("family", "l1_ratio"), [
    (family, mix) for family in ("gaussian", "binomial", "poisson", "gamma") for mix in (0.0, 0.4, 1.0)
    if (family, mix) != ("gamma", 0.0)])
def test_statsmodels(family: str, l1_ratio: float, standardize: bool, fit_intercept: bool, weights: Any) -> None:
    pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    y, factors = RESPONSES[KIND[family]], np.array([1, 2, 0.5, 1, 0])
    s = Statement(family, ALPHA, False, l1_ratio, fit_intercept, standardize, factors if l1_ratio == 1 else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its optimiser speaks of the line search
        params = run(equivalent(s, "statsmodels"), y, weights)["params"]
    coef, intercept = (params[1:], params[0]) if fit_intercept else (params, 0.0)
    assert gap(s, y, coef, intercept, sample_weight=weights) < 1e-8


@weighing
def test_constants_of_statsmodels(weights: Any) -> None:
    w = np.ones(len(X)) if weights is None else weights
    summed = Statement("gaussian", 3.0, True, 0.5)
    code = equivalent(summed, "statsmodels").split("# zero_tol")[0].replace("import statsmodels.api as sm", "")
    assert run(code, RESPONSES["number"], weights)["alpha"].tolist() == pytest.approx(
        conventions.to_statsmodels(summed.alpha(w.sum()), X.shape[1]))


# ------------------------------------------------------------------------------------------------ LIBLINEAR


@every_intercept
@every_scale
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_liblinear(l1_ratio: float, standardize: bool, fit_intercept: bool) -> None:
    pytest.importorskip("liblinear.liblinearutil", reason="liblinear-official is not installed")
    s = Statement("binomial", ALPHA, False, l1_ratio, fit_intercept, standardize)
    there = run(equivalent(s, "liblinear"), RESPONSES["two"])
    assert gap(s, RESPONSES["two"], there["coef"], there["intercept"] if fit_intercept else 0.0) < 1e-9


def test_constants_of_liblinear() -> None:
    code = equivalent(Statement("binomial", ALPHA, False, 1.0), "liblinear")
    assert "penalises it; -R takes that penalty away" in code
    (C,) = re.findall(r"^C = (.*)$", code, re.MULTILINE)
    assert eval(C, {"y": RESPONSES["two"], "len": len}) == conventions.to_c(ALPHA, len(X))
    (C,) = re.findall(r"^C = (.*)$", regfast.LogisticRegression(C=0.3).equivalent("liblinear"), re.MULTILINE)
    assert float(C) == 0.3


# ---------------------------------------------------------------------------------------------------- glmnet

GLMNET: dict[str, dict[str, Any]] = {
    "plain": {}, "scaled": {"standardize": True}, "origin": {"fit_intercept": False},
    "scaled origin": {"fit_intercept": False, "standardize": True},
    "factors": {"penalty_factors": np.array([1, 2, 0.5, 0.3, np.inf]), "standardize": True},
    "bounds": {"bounds": (-0.02, np.inf)}, "offset": {"has_offset": True, "standardize": True},
}


def glmnet_cases() -> list[tuple[Statement, bool]]:
    """(statement, weighted) of every family, mix and option."""
    out = []
    for family in KIND:
        several = family.startswith("multi")
        for options in GLMNET.values():
            if (several and "has_offset" in options) or (family == "multigaussian" and "bounds" in options):
                continue
            if family in ("gamma", "tweedie(1.5)") and "fit_intercept" in options:
                continue  # by its own word glmnet's steps do not converge there, however many
            for l1_ratio in (0.0, 0.4, 1.0):
                for weighted in (False, True):
                    s = Statement(family, ALPHA, l1_ratio=l1_ratio, **options)
                    out.append((s._replace(grouped=family == "multigaussian"), weighted))
                    if family == "multinomial" and "bounds" not in options:
                        out.append((s._replace(grouped=True), weighted))
    return [case for case in out if has("statmod") or not case[0].family.startswith("tweedie")]


@cache
def has(package: str) -> bool:
    """Whether R has a package."""
    if shutil.which("Rscript") is None:
        return False
    asked = subprocess.run(["Rscript", "-e", f"library({package})"], capture_output=True, timeout=120, check=False)
    return asked.returncode == 0


def test_glmnet(tmp_path: Path) -> None:
    if not has("glmnet"):
        pytest.skip("R with glmnet is not installed")
    np.savetxt(tmp_path / "X", X, fmt="%.17g")
    np.savetxt(tmp_path / "w", W, fmt="%.17g")
    np.savetxt(tmp_path / "o", ETA, fmt="%.17g")
    script = ["suppressMessages(library(glmnet)); options(warn = -1)"]
    script += [f"{name}0 <- as.matrix(read.table('{tmp_path}/{name}'))" for name in "Xwo"]
    for family, kind in KIND.items():
        np.savetxt(tmp_path / kind, RESPONSES[kind], fmt="%s" if RESPONSES[kind].dtype.kind == "U" else "%.17g")
        script.append(f"y_{kind} <- as.matrix(read.table('{tmp_path}/{kind}'))" if family == "multigaussian"
                      else f"y_{kind} <- read.table('{tmp_path}/{kind}')[[1]]")
    cases = glmnet_cases()
    for k, (s, weighted) in enumerate(cases):
        code = equivalent(s, "glmnet").replace("rep(1, NROW(y))", "c(w0)" if weighted else "rep(1, NROW(y))")
        script += [f"X <- X0; o <- c(o0); y <- y_{KIND[s.family]}", code,
                   "parts <- coef(fit); if (!is.list(parts)) parts <- list(parts)",
                   f"write.table(sapply(parts, function(v) sprintf('%.17g', as.numeric(v))), '{tmp_path}/out{k}', "
                   "quote = FALSE, row.names = FALSE, col.names = FALSE)"]
    (tmp_path / "run.R").write_text("\n".join(script))
    subprocess.run(["Rscript", str(tmp_path / "run.R")], check=True, capture_output=True, timeout=600)
    for k, (s, weighted) in enumerate(cases):
        found = np.loadtxt(tmp_path / f"out{k}", ndmin=2).T
        coef, intercept = (found[:, 1:], found[:, 0]) if len(found) > 1 else (found[0, 1:], found[0, 0])
        if s.bounds is not None:
            coef = np.maximum(coef, s.bounds[0])  # it stores them at single precision's distance
        more = {"offset": ETA} if s.has_offset else {}
        assert gap(s, RESPONSES[KIND[s.family]], coef, intercept * s.fit_intercept,
                   sample_weight=W if weighted else None, **more) < 1e-6, s  # what its thresh of 1e-14 comes to


@weighing
@every_intercept
@every_mix
@pytest.mark.parametrize("summed", [True, False])
def test_constants_of_glmnet(summed: bool, l1_ratio: float, fit_intercept: bool, weights: Any) -> None:
    w, y = np.ones(len(X)) if weights is None else weights, RESPONSES["number"]
    factors = np.array([1, 2, 0.5, 0.3, np.inf])
    s = Statement("gaussian", 3.0, summed, l1_ratio, fit_intercept, penalty_factors=factors)
    code = equivalent(s, "glmnet")
    centre = np.average(y, weights=w) if fit_intercept else 0.0
    assert f"(y - {'weighted.mean(y, w)' if fit_intercept else '0'})^2" in code or l1_ratio == 1
    names: dict[str, Any] = {"sd_y": math.sqrt(np.average((y - centre) ** 2, weights=w)), "w": w, "sum": np.sum}
    for mix in re.findall(r"^mix <- (.*)$", code, re.MULTILINE):
        names["mix"] = eval(mix, names)
    ((lam, share),) = re.findall(r"lambda = (.*), alpha = (.*), weights = w", code)
    wanted = conventions.to_glmnet(s.alpha(w.sum()), l1_ratio, names["sd_y"])
    assert eval(lam, names) == pytest.approx(wanted.lambda_ * conventions.glmnet_factors(factors).multiplier)
    assert eval(share, names) == pytest.approx(wanted.alpha)
    other = equivalent(s._replace(family="poisson"), "glmnet")
    ((lam, share),) = re.findall(r"lambda = (.*), alpha = (.*), weights = w", other)
    wanted = conventions.to_glmnet(s.alpha(w.sum()), l1_ratio, 1.0)
    assert eval(lam, names) == pytest.approx(wanted.lambda_ * conventions.glmnet_factors(factors).multiplier)
    assert float(share) == pytest.approx(wanted.alpha)


# ----------------------------------------------------------------------------------------------------- Spark


@weighing
@every_mix
@pytest.mark.parametrize("family", ["gaussian", "binomial", "multinomial"])
def test_constants_of_spark(family: str, l1_ratio: float, weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in Spark's place notes what it is called with."""
    for name in ("pyspark", "pyspark.ml", "pyspark.ml.regression", "pyspark.ml.classification"):
        module = ModuleType(name)
        vars(module).update(LinearRegression=dict, LogisticRegression=dict)
        monkeypatch.setitem(sys.modules, name, module)
    y, w = RESPONSES[KIND[family]], np.ones(len(X)) if weights is None else weights
    s = Statement(family, 3.0, True, l1_ratio, standardize=True)
    told = run(equivalent(s, "spark"), y, weights)["model"]
    sd_y = math.sqrt(np.average((y - np.average(y, weights=w)) ** 2, weights=w)) if family == "gaussian" else 1.0
    wanted = conventions.to_spark(s.alpha(w.sum()), l1_ratio, sd_y)
    assert (told["regParam"], told["elasticNetParam"]) == pytest.approx(wanted)
    assert told["standardization"] is told["fitIntercept"] is True
    assert told.get("family", family) == family
    assert family != "gaussian" or told["solver"] == "normal"


# ------------------------------------------------------------------------------------------------ class weights


@pytest.mark.parametrize("class_weight", ["balanced", {"yes": 2.0, "no": 0.5}])
def test_class_weights_enter_the_rows(class_weight: Any) -> None:
    """As text of Python, for libraries that have none, they are those of scikit-learn."""
    y, ours = RESPONSES["two"], regfast.LogisticRegression(C=0.7, class_weight=class_weight, tol=1e-10)
    ours.fit(X, y, sample_weight=W)
    code = ours.equivalent("spark").split("model = ")[0].replace(
        "from pyspark.ml.classification import LogisticRegression", "")
    w = run(code, y, W)["w"]
    np.testing.assert_allclose(ours._weights(y, W), w, rtol=1e-12)
    assert "class weights" in ours.equivalent("glmnet") or '"yes" = 2.0, "no" = 0.5' in ours.equivalent("glmnet")


# ------------------------------------------------------------------------------------------------ refusals

REFUSALS: list[tuple[Statement, str, str]] = [
    (Statement("gaussian", 1.0), "lightning", "library must be one of 'glmnet', 'sklearn'"),
    (Statement("gaussian", 1.0, penalty_factors=[1, 2]), "sklearn", "no model with penalty factors"),
    (Statement("gaussian", 1.0, bounds=(-1, 1)), "sklearn", "no model with bounds other than 0 and infinity"),
    (Statement("multinomial", 1.0, grouped=True), "sklearn", "no model with grouped classes"),
    (Statement("poisson", 1.0, l1_ratio=0.0, has_offset=True), "sklearn", "no model with an offset"),
    (Statement("multinomial", 1.0), "liblinear", "LIBLINEAR has no model of family 'multinomial'"),
    (Statement("binomial", 1.0, l1_ratio=0.5), "liblinear", "no model with L1 and L2 penalties together"),
    (Statement("binomial", 1.0, bounds=(0, 1)), "statsmodels", "no model with bounds"),
    (Statement("gaussian", 1.0, penalty_factors=[1, np.inf]), "statsmodels", "no model with excluded columns"),
    (Statement("gamma", 1.0, l1_ratio=0.0), "statsmodels", "no model with the L2 penalty alone for gamma"),
    (Statement("poisson", 1.0), "spark", "Spark has no model of family 'poisson' with this objective"),
]


@pytest.mark.parametrize(("s", "library", "match"), REFUSALS)
def test_refusals(s: Statement, library: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        equivalent(s, library)


def test_classifiers_by_squares_say_what_they_are() -> None:
    for library in LIBRARIES:
        with pytest.raises(ValueError, match="RidgeClassifier is Ridge on responses of ±1"):
            regfast.RidgeClassifier().equivalent(library)


def test_code_shows_itself() -> None:
    code = regfast.Lasso(0.1).equivalent("sklearn")
    assert repr(code) == str(code)
    assert code.startswith("import numpy as np\nfrom sklearn.linear_model import Lasso\n")
