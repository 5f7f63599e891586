"""Code that fits the same objective elsewhere: text from a statement, nothing is fitted.

Each library's constants are those of `regfast.conventions`, written as formulas of the data at hand (``w.sum()``, the
standard deviation of y), so that the code stays right when rows are added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import conventions
from .statement import Statement


class Code(str):
    """Source code that shows itself, not its quotes, at the prompt."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def equivalent(statement: Statement, library: str) -> Code:
    """Code in which `library` minimises what the statement says.

    Raises
    ------
    ValueError
        There is no such library, or it has no such objective: the message says what it lacks.
    """
    if library not in LIBRARIES:
        raise ValueError(f"library must be one of {', '.join(map(repr, LIBRARIES))}; got {library!r}")
    return Code("\n".join(LIBRARIES[library](statement)) + "\n")


# ----------------------------------------------------------------------------------------------- pieces


def _refuse(library: str, **lacking: Any) -> None:
    for what, present in lacking.items():
        if present:
            raise ValueError(f"{library} has no model with {what.replace('_', ' ')}: there is no equivalent code")


def _known(library: str, s: Statement, families: dict[str, str] | list[str]) -> None:
    if s.family.split("(")[0] not in families:
        raise ValueError(f"{library} has no model of family {s.family!r} with this objective; here it has "
                         f"{', '.join(map(repr, families))}")


def _mean(s: Statement, total: str) -> str:
    """α: the strength beside a mean loss."""
    return f"{s.strength!r} / {total}" if s.summed and s.strength else repr(s.strength)


def _sum(s: Statement, total: str) -> str:
    """Σw·α: the strength beside a sum of losses."""
    return repr(s.strength) if s.summed or not s.strength else f"{s.strength!r} * {total}"


def _inverse(s: Statement, total: str) -> str:
    """C = 1/(Σw·α)"""
    if not s.strength:
        return "np.inf"
    return repr(1 / s.strength) if s.summed else f"1 / ({s.strength!r} * {total})"


def _numbers(values: Any) -> str:
    """An array as Python writes it."""
    text = ", ".join(repr(float(v)) for v in np.ravel(values)).replace("inf", "np.inf")
    return f"np.array([{text}])"


def _weights(s: Statement) -> list[str]:
    """`w` in Python, class weights in it as scikit-learn counts them."""
    lines = ["w = np.ones(len(y))  # sample weights, if there are any"]
    if isinstance(s.class_weight, dict):
        lines += [f"w = w * np.array([{s.class_weight!r}.get(label, 1.0) for label in np.asarray(y).tolist()])"]
    elif s.class_weight is not None:
        lines += ["labels, at = np.unique(y, return_inverse=True)",
                  "w = w * (w.sum() / (len(labels) * np.bincount(at, w)))[at]  # class_weight=\"balanced\""]
    return lines


def _offset(library: str, s: Statement) -> list[str]:
    """The offset in a squared error, which is another y; no other model can be had this way."""
    if not s.has_offset:
        return []
    _refuse(library, an_offset=s.family not in ("gaussian", "multigaussian"))
    return ["y = y - o  # the offset"]


SCALE = ["scale = np.sqrt(np.average((X - np.average(X, axis=0, weights=w)) ** 2, axis=0, weights=w))",
         "scale[scale == 0] = 1"]
SD_Y = "sd_y = np.sqrt(np.average((y - np.average(y, weights=w)) ** 2, weights=w))  # divisor n, not n - 1"


# ------------------------------------------------------------------------------------------ scikit-learn


def _sklearn(s: Statement) -> list[str]:
    _refuse("scikit-learn", penalty_factors=s.weighs_columns, bounds_other_than_0_and_infinity=s.bounded
            and not s.positive, grouped_classes=s.grouped and s.family == "multinomial")
    name, call = _sklearn_model(s)
    imports, fit = [f"from sklearn.linear_model import {name}"], [f"model = {call}"]
    weighted = not name.startswith("MultiTask")
    step = name.lower()
    keyword = "sample_weight=w" if weighted else ""
    if s.standardize:
        imports += ["from sklearn.pipeline import make_pipeline", "from sklearn.preprocessing import StandardScaler"]
        # the intercept does the centring; done beforehand it spares iterations, but no sparse X can stand it
        mean = "not issparse(X)" if s.fit_intercept else "False"
        imports = ["from scipy.sparse import issparse", *imports] if s.fit_intercept else imports
        fit = [f"model = make_pipeline(StandardScaler(with_mean={mean}), {call})"]
        keyword = f"standardscaler__sample_weight=w, {step}__sample_weight=w" if weighted else ""
    note = [] if weighted else [f"# {name} takes no sample weights"]
    plain = s._replace(class_weight=None) if "class_weight" in call else s
    weights = _weights(plain) if weighted else []
    return [*_header(imports), *weights, *_offset("scikit-learn", s), *note, *fit,
            f"model.fit(X, y{', ' * bool(keyword)}{keyword})"]


def _header(imports: list[str]) -> list[str]:
    return ["import numpy as np", *imports, ""]


def _sklearn_model(s: Statement) -> tuple[str, str]:
    """(class, call)"""
    end = f"fit_intercept={bool(s.fit_intercept)}, tol=1e-10, max_iter=100_000"
    positive = "positive=True, " * s.positive
    if s.family == "multigaussian" and s.l1_ratio:
        mix = "" if s.l1_ratio == 1 else f"l1_ratio={s.l1_ratio!r}, "
        name = "MultiTaskElasticNet" if mix else "MultiTaskLasso"
        return name, f"{name}(alpha={_mean(s, 'len(y)')}, {mix}{end})"
    if s.family in ("gaussian", "multigaussian"):
        if not s.strength:
            return "LinearRegression", f"LinearRegression({positive}fit_intercept={bool(s.fit_intercept)})"
        if not s.l1_ratio:
            return "Ridge", f"Ridge(alpha={_sum(s, 'w.sum()')}, {positive}{end})"
        mix = "" if s.l1_ratio == 1 else f"l1_ratio={s.l1_ratio!r}, "
        name = "ElasticNet" if mix else "Lasso"
        return name, f"{name}(alpha={_mean(s, 'w.sum()')}, {mix}{positive}{end})"
    _refuse("scikit-learn", **{f"bounds_for_{s.family}": s.bounded})
    if s.family in ("binomial", "multinomial"):
        total = "w.sum()"
        classes = "" if s.class_weight is None else f"class_weight={s.class_weight!r}, "
        solver = '"saga"' if s.l1_ratio and s.strength else '"lbfgs"'
        return "LogisticRegression", (f"LogisticRegression(C={_inverse(s, total)}, l1_ratio={s.l1_ratio!r}, "
                                      f"solver={solver}, {classes}{end})")
    _refuse("scikit-learn", **{f"an_L1_penalty_for_{s.family}": s.l1_ratio > 0 and s.strength > 0})
    name = {"poisson": "PoissonRegressor", "gamma": "GammaRegressor"}.get(s.family, "TweedieRegressor")
    power = f"power={s.family[8:-1]}, " if name == "TweedieRegressor" else ""
    return name, f'{name}({power}alpha={_mean(s, "w.sum()")}, solver="newton-cholesky", {end})'


# ------------------------------------------------------------------------------------------------ glmnet

R_FAMILIES = {"gaussian": '"gaussian"', "binomial": '"binomial"', "poisson": '"poisson"', "multinomial":
              '"multinomial"', "multigaussian": '"mgaussian"', "gamma": 'Gamma(link = "log")',
              "tweedie": "statmod::tweedie(var.power = {power}, link.power = 0)"}


def _r(values: Any) -> str:
    """A number, or an array, as R writes it."""
    text = [repr(float(v)).replace("inf", "Inf") for v in np.ravel(values)]
    return text[0] if len(set(text)) == 1 else f"c({', '.join(text)})"


def _glmnet(s: Statement) -> list[str]:
    _known("glmnet", s, R_FAMILIES)
    family = R_FAMILIES[s.family.split("(")[0]].format(power=s.family[8:-1])
    # a family as an object is fitted by steps that glmnet's `thresh` does not govern
    exact = ["glmnet.control(epsnr = 1e-13, mxitnr = 1000)"] * ("(" in family)
    lines = ["library(glmnet)", *exact, "", "w <- rep(1, NROW(y))  # sample weights, if there are any"]
    if isinstance(s.class_weight, dict):
        pairs = ", ".join(f'"{label}" = {float(v)!r}' for label, v in s.class_weight.items())
        lines += [f"given <- c({pairs})[as.character(y)]", "w <- w * ifelse(is.na(given), 1, given)"]
    elif s.class_weight is not None:
        lines += ["w <- w * sum(w) / (length(unique(y)) * ave(w, y, FUN = sum))  # class weights"]
    factors = ""
    strength = _mean(s, "sum(w)")
    if s.weighs_columns:
        # glmnet rescales the factors to a mean of 1
        strength = f"{conventions.glmnet_factors(s.penalty_factors).multiplier!r} * {strength}"
        factors = f"penalty.factor = {_r(s.penalty_factors)}, "
    mix, share = "", repr(float(s.l1_ratio))
    if s.family == "gaussian" and s.l1_ratio < 1:
        centre = "weighted.mean(y, w)" if s.fit_intercept else "0"
        lines += ["y <- y - o  # the offset"] if s.has_offset else []
        lines += [f"sd_y <- sqrt(weighted.mean((y - {centre})^2, w))  # glmnet divides the L2 part by it",
                  f"mix <- {s.l1_ratio!r} + {1 - s.l1_ratio!r} * sd_y"]
        mix, share = " * mix", f"{s.l1_ratio!r} / mix"
    elif s.has_offset and s.family == "gaussian":
        lines += ["y <- y - o  # the offset"]
    offset = "offset = o, " * (s.has_offset and s.family != "gaussian")
    bounds = f"lower.limits = {_r(s.bounds[0])}, upper.limits = {_r(s.bounds[1])}, " if s.bounded else ""
    grouped = 'type.multinomial = "grouped", ' * (s.grouped and s.family == "multinomial")
    lines += [f"fit <- glmnet(X, y, family = {family}, lambda = {strength}{mix}, alpha = {share}, weights = w,",
              f"              standardize = {str(bool(s.standardize)).upper()}, "
              f"intercept = {str(bool(s.fit_intercept)).upper()},",
              f"              {offset}{factors}{bounds}{grouped}thresh = 1e-14, maxit = 1e7)",
              "coef(fit)  # the intercept first"]
    return lines


# --------------------------------------------------------------------------------------------- LIBLINEAR


def _liblinear(s: Statement) -> list[str]:
    _known("LIBLINEAR", s, ["binomial"])
    _refuse("LIBLINEAR", L1_and_L2_penalties_together=0 < s.l1_ratio < 1, penalty_factors=s.weighs_columns,
            bounds=s.bounded, class_weight_in_this_form=s.class_weight is not None, no_penalty=not s.strength,
            an_offset=s.has_offset)
    bias = "-B 1 -R" if s.fit_intercept else "-B -1"
    note = ["# -B 1 adds the intercept as one more column and penalises it; -R takes that penalty away (LIBLINEAR 2.41",
            "# or newer, pip install liblinear-official). Without -R, as in LinearSVC and in LogisticRegression with",
            '# solver="liblinear", no C gives this model.'] if s.fit_intercept else []
    scale = ["w = np.ones(len(y))", *SCALE, "X = X / scale"] if s.standardize else []
    back = " / scale" if s.standardize else ""
    return [*_header(["from liblinear.liblinearutil import train"]), *scale, *note,
            "y = np.where(y == np.unique(y)[1], 1.0, -1.0)  # the second label is the positive one; no sample weights",
            f"C = {_inverse(s, 'len(y)')}",
            f'model = train(y, X, f"-s {6 if s.l1_ratio else 0} -c {{C!r}} {bias} -e 1e-10 -q")',
            "coef, intercept = model.get_decfun(label_idx=model.get_labels().index(1))",
            f"coef = np.array(coef){back}"]


# ------------------------------------------------------------------------------------------- statsmodels

SM_FAMILIES = {"gaussian": "", "binomial": "Binomial()", "poisson": "Poisson()",
               "gamma": "Gamma(link=sm.families.links.Log())"}


def _statsmodels(s: Statement) -> list[str]:
    _known("statsmodels", s, SM_FAMILIES)
    _refuse("statsmodels", bounds=s.bounded, excluded_columns=s.weighs_columns and np.isinf(s.penalty_factors).any())
    # its ridge solver estimates the scale of a gamma, which changes the objective
    _refuse("statsmodels", the_L2_penalty_alone_for_gamma=s.family == "gamma" and not s.l1_ratio and s.strength > 0)
    each = "np.ones(X.shape[1])" if not s.weighs_columns else _numbers(s.penalty_factors)
    lines = [*_header(["import statsmodels.api as sm"]), *_weights(s)]
    shift = ""
    if s.family == "gaussian":
        lines += _offset("statsmodels", s)
    elif s.has_offset:
        shift = ", offset=o"
    if s.standardize:
        lines += [*SCALE, "X = X / scale"]
    lines += [f"alpha = {_mean(s, 'w.sum()')} * {each}"]
    design = "X"
    if s.fit_intercept:
        lines += ["alpha = np.r_[0, alpha]  # the constant comes first, and would be penalised"]
        design = 'sm.add_constant(X, has_constant="add")'
    options = f"L1_wt={s.l1_ratio!r}"
    if s.family == "gaussian":
        model = f"sm.WLS(y, {design}, weights=w)"
        options += ", maxiter=10_000, cnvrg_tol=1e-12, zero_tol=0" if s.l1_ratio else ""
    else:
        lines += ["alpha = alpha * w.sum() / len(y)  # its weights multiply the likelihood, the mean is over rows"]
        if s.family == "binomial":
            lines += ["y = (y == np.unique(y)[1]).astype(float)"]
        model = f"sm.GLM(y, {design}, family=sm.families.{SM_FAMILIES[s.family]}, freq_weights=w{shift})"
        options += ", maxiter=10_000, cnvrg_tol=1e-12, zero_tol=0"
    if s.l1_ratio:
        lines += ["# zero_tol=0, for a coefficient below it would be left out for good"]
    lines += [f"result = {model}.fit_regularized(alpha=alpha, {options})"]
    lines += ["params = np.array(result.params)" + ("  # the intercept first" if s.fit_intercept else "")]
    if s.standardize:
        lines += [f"params[{int(s.fit_intercept)}:] /= scale"]
    return lines


# ------------------------------------------------------------------------------------------------- Spark


def _spark(s: Statement) -> list[str]:
    _known("Spark", s, ["gaussian", "binomial", "multinomial"])
    _refuse("Spark", penalty_factors=s.weighs_columns, bounds_in_this_form=s.bounded, grouped_classes=s.grouped)
    name = "LinearRegression" if s.family == "gaussian" else "LogisticRegression"
    module = "regression" if s.family == "gaussian" else "classification"
    lines = [*_header([f"from pyspark.ml.{module} import {name}"]),
             "# X, y and w are columns of a table; here as arrays, for the constants", *_weights(s),
             *_offset("Spark", s)]
    strength, share, solver = _mean(s, "w.sum()"), repr(float(s.l1_ratio)), f'family="{s.family}", '
    if s.family == "gaussian":
        solver = 'solver="normal", '  # the other solver takes standard deviations with divisor n - 1
        if s.l1_ratio < 1:
            lines += [SD_Y, f"mix = {s.l1_ratio!r} + {1 - s.l1_ratio!r} * sd_y"]
            strength, share = f"{strength} * mix", f"{s.l1_ratio!r} / mix"
    lines += [f'model = {name}(featuresCol="features", labelCol="label", weightCol="weight", {solver}'
              f"regParam={strength},",
              f"    elasticNetParam={share}, standardization={bool(s.standardize)}, "
              f"fitIntercept={bool(s.fit_intercept)},"
              " tol=1e-12, maxIter=10_000)"]
    return lines


LIBRARIES: dict[str, Callable[[Statement], list[str]]] = {
    "glmnet": _glmnet, "sklearn": _sklearn, "liblinear": _liblinear, "statsmodels": _statsmodels, "spark": _spark}
"""How each library says it."""
