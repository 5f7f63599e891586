"""The strength of a penalty, translated between libraries: formulas only, nothing is fitted.

regfast minimises over b0 and b, the intercept b0 never penalised,

    Σ_i w_i ℓ_i / Σ_i w_i  +  alpha Σ_j [ l1_ratio |b_j| + (1 − l1_ratio)/2 b_j² ],

ℓ half the squared error or the negative log-likelihood of the family. ``to_x`` takes regfast's numbers and
gives those of x, ``from_x`` goes back. Multiplying an objective by a constant does not move its minimum, so
each line is such a constant and what it does to the penalty. n is the number of rows, or Σ_i w_i if weighted.

    to_lambdas            Σwℓ/Σw + λ1|b| + λ2/2 b²           λ1 = alpha l1_ratio, λ2 = alpha (1 − l1_ratio)
    to_zou_hastie         SSE + λ1|b| + λ2 b²                λ1 = 2n alpha l1_ratio, λ2 = n alpha (1−l1_ratio)
    to_mse                MSE + λ/2 b²                       λ = 2 alpha, at l1_ratio = 0
    to_half_mse           SSE/(2n) + λ b²                    λ = alpha / 2, at l1_ratio = 0
    to_ridge              SSE + λ b²                         λ = n alpha, at l1_ratio = 0
    to_c                  C Σwℓ + penalty                    C = 1 / (n alpha)
    to_glmnet, to_spark   L1 part λa, L2 part λ(1−a)/sd(y)   λ = alpha (l1_ratio + (1 − l1_ratio) sd(y))
    to_statsmodels        Σℓ/n + Σ_k λ_k (...)               λ = (0, alpha, ..., alpha), the constant first
    to_statsmodels_logit  Σℓ + Σ_k λ_k |b_k|                 λ = (0, n alpha, ..., n alpha)

scikit-learn's Lasso, ElasticNet (`alpha`, `l1_ratio`) and PoissonRegressor (`alpha`, at l1_ratio = 0) need no
translation. Whether columns are standardised is another question: see docs/objective.md. Every function
raises ValueError naming the argument that is out of range, TypeError for one that is not a number.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple


class Strength(NamedTuple):
    """regfast's own pair: the strength `alpha` and the share `l1_ratio` of the L1 part."""

    alpha: float
    l1_ratio: float


class Lambdas(NamedTuple):
    """One strength for |b| and one for b², the square halved or not as the function says."""

    lambda1: float
    lambda2: float


class Glmnet(NamedTuple):
    """glmnet's pair: `lambda_` is its lambda, the strength; `alpha` its alpha, the share of the L1 part."""

    lambda_: float
    alpha: float


class GlmnetFactors(NamedTuple):
    """Penalty factors as glmnet uses them, and what lambda must be multiplied by to undo its rescaling."""

    factors: list[float]
    multiplier: float


class Spark(NamedTuple):
    """Spark's pair: `reg_param` is regParam, the strength; `elastic_net_param` the share of the L1 part."""

    reg_param: float
    elastic_net_param: float


# ------------------------------------------------------------------------------------------ textbook forms


def to_lambdas(alpha: float, l1_ratio: float) -> Lambdas:
    """λ1 and λ2 of mean loss + λ1|b| + λ2/2 b²: λ1 = alpha l1_ratio, λ2 = alpha (1 − l1_ratio)."""
    alpha, l1_ratio = _at_least_0("alpha", alpha), _share("l1_ratio", l1_ratio)
    return Lambdas(alpha * l1_ratio, alpha * (1.0 - l1_ratio))


def from_lambdas(lambda1: float, lambda2: float) -> Strength:
    """The inverse of `to_lambdas`. No penalty at all, (0, 0), has no mix: l1_ratio is then given as 1."""
    lambda1, lambda2 = _at_least_0("lambda1", lambda1), _at_least_0("lambda2", lambda2)
    alpha = lambda1 + lambda2
    return Strength(alpha, lambda1 / alpha if alpha > 0.0 else 1.0)


def to_zou_hastie(alpha: float, l1_ratio: float, n: float) -> Lambdas:
    """The (naive) elastic net as first written, SSE + λ1|b| + λ2 b²: regfast's objective times 2n.

    Zou and Hastie (2005), J. R. Stat. Soc. B 67, 301, equation 3. At l1_ratio = 1 the Lasso as SSE + λ1|b|.
    """
    n = _positive("n", n)
    lambda1, lambda2 = to_lambdas(alpha, l1_ratio)
    return Lambdas(2.0 * n * lambda1, n * lambda2)


def from_zou_hastie(lambda1: float, lambda2: float, n: float) -> Strength:
    """The inverse of `to_zou_hastie`."""
    n = _positive("n", n)
    return from_lambdas(_at_least_0("lambda1", lambda1) / (2.0 * n), _at_least_0("lambda2", lambda2) / n)


def to_mse(alpha: float) -> float:
    """λ of MSE + ½λ‖b‖², MSE = SSE/n: regfast's objective times 2, so λ = 2 alpha (l1_ratio = 0).

    The same factor serves any mix: MSE + λ [l1_ratio |b| + (1 − l1_ratio)/2 b²], the Lasso as MSE + λ|b|.
    """
    return 2.0 * _at_least_0("alpha", alpha)


def from_mse(lambda_: float) -> float:
    """The inverse of `to_mse`: alpha = λ/2."""
    return _at_least_0("lambda_", lambda_) / 2.0


def to_half_mse(alpha: float) -> float:
    """λ of SSE/(2m) + λ Σθ²: λ = alpha/2 (l1_ratio = 0).

    For the form SSE/(2m) + λ/(2m) Σθ², which is SSE + λ Σθ² over 2m, take `to_ridge` with n = m: λ = m alpha.
    """
    return _at_least_0("alpha", alpha) / 2.0


def from_half_mse(lambda_: float) -> float:
    """The inverse of `to_half_mse`: alpha = 2λ."""
    return 2.0 * _at_least_0("lambda_", lambda_)


# --------------------------------------------------------------------------------- scikit-learn, LIBLINEAR


def to_ridge(alpha: float, n: float) -> float:
    """scikit-learn's Ridge alpha, that of SSE + alpha‖b‖²: n times regfast's (l1_ratio = 0).

    n is Σ_i w_i when Ridge is given sample weights.
    """
    return _at_least_0("alpha", alpha) * _positive("n", n)


def from_ridge(alpha_ridge: float, n: float) -> float:
    """The inverse of `to_ridge`: alpha = alpha_ridge / n, with l1_ratio = 0."""
    return _at_least_0("alpha_ridge", alpha_ridge) / _positive("n", n)


def to_c(alpha: float, n: float) -> float:
    """C of scikit-learn's LogisticRegression and LinearSVC and of LIBLINEAR: 1 / (n alpha), inf at alpha = 0.

    They minimise C Σ_i w_i ℓ_i + l1_ratio|b| + (1 − l1_ratio)/2 b²; n is Σ_i w_i if weighted, class weights
    counted. LIBLINEAR, and so LinearSVC and LogisticRegression(solver="liblinear"), *penalises the intercept*
    as the coefficient of one more column that is constantly intercept_scaling. No C gives regfast's answer
    exactly then, except without an intercept; a large intercept_scaling comes near.
    """
    product = _at_least_0("alpha", alpha) * _positive("n", n)
    return 1.0 / product if product > 0.0 else math.inf


def from_c(C: float, n: float) -> float:
    """The inverse of `to_c`: alpha = 1 / (C n), and 0 for C = inf. The caveat about LIBLINEAR is the same."""
    return 1.0 / (_number("C", C, _real("C", C) > 0.0, "a number > 0") * _positive("n", n))


# ------------------------------------------------------------------------------------------- glmnet, Spark


def to_glmnet(alpha: float, l1_ratio: float, sd_y: float) -> Glmnet:
    """glmnet's (lambda, alpha) for regfast's (alpha, l1_ratio).

    With family "gaussian" glmnet divides y and lambda by sd_y, fits, and multiplies b by sd_y. With a for its
    alpha, that is L1 = lambda a and L2 = lambda (1 − a) / sd_y on the scale of y: the square counts the
    division twice. Hence lambda = alpha (l1_ratio + (1 − l1_ratio) sd_y), and lambda a = alpha l1_ratio.

    `sd_y` is the weighted standard deviation of y (less the offset) with divisor n, not n − 1; with
    intercept=FALSE it is the root mean square, y not being centred. For every other family, also for the
    object gaussian(), pass sd_y=1, which leaves the pair as it is. glmnet standardises columns by default, as
    fit_path does and with the same divisor. It rescales penalty factors: see `glmnet_factors`.

    Source: glmnet >= 4.1, Standardize1 in glmnetpp_bits/elnet_driver/standardize.hpp.
    """
    lambda1, lambda2 = to_lambdas(alpha, l1_ratio)
    lambda_ = lambda1 + lambda2 * _positive("sd_y", sd_y)
    return Glmnet(lambda_, lambda1 / lambda_ if lambda_ > 0.0 else float(l1_ratio))


def from_glmnet(lambda_: float, alpha: float, sd_y: float) -> Strength:
    """The inverse of `to_glmnet`: regfast's (alpha, l1_ratio) for glmnet's lambda and alpha."""
    lambda_, alpha = _at_least_0("lambda_", lambda_), _share("alpha", alpha)
    return from_lambdas(lambda_ * alpha, lambda_ * (1.0 - alpha) / _positive("sd_y", sd_y))


def glmnet_factors(penalty_factors: Sequence[float]) -> GlmnetFactors:
    """What glmnet makes of ``penalty.factor``, and the number that puts it right.

    glmnet rescales the p factors to sum to p; an infinite one excludes its column and counts as 1 in the sum.
    regfast takes factors as given. So regfast's fit at alpha with `penalty_factors` is glmnet's with the same
    factors and lambda = multiplier × (lambda of `to_glmnet`); the multiplier is the mean of the factors.
    """
    given = [float(v) for v in penalty_factors]
    counted = [1.0 if v == math.inf else _at_least_0("penalty_factors", v) for v in given]
    multiplier = math.fsum(counted) / len(counted) if counted else 0.0
    if not multiplier > 0.0:
        raise ValueError(f"penalty_factors must have a positive entry, as glmnet wants it, got {given}")
    return GlmnetFactors([v / multiplier for v in given], multiplier)


def to_spark(alpha: float, l1_ratio: float, sd_y: float) -> Spark:
    """Spark's (regParam, elasticNetParam), by the rule of `to_glmnet`, whose scaling of the label it copies.

    LinearRegression: `sd_y` is the standard deviation of the label, with divisor n for solver "normal" (which
    "auto" takes up to 4096 columns) and n − 1 for "l-bfgs", which scales the columns with n − 1 too. With
    standardization=True, the default, compare with standardize=True. LogisticRegression: pass sd_y=1.

    Source: WeightedLeastSquares.scala and LinearRegression.scala in Apache Spark.
    """
    return Spark(*to_glmnet(alpha, l1_ratio, sd_y))


def from_spark(reg_param: float, elastic_net_param: float, sd_y: float) -> Strength:
    """The inverse of `to_spark`."""
    strength, share = _at_least_0("reg_param", reg_param), _share("elastic_net_param", elastic_net_param)
    return from_glmnet(strength, share, sd_y)


# ------------------------------------------------------------------------------------------------ statsmodels


def to_statsmodels(alpha: float, n_features: int) -> list[float]:
    """`alpha` for fit_regularized(alpha=..., L1_wt=l1_ratio) of OLS(y, add_constant(X)), and of GLM.

    statsmodels penalises the constant like any column unless alpha is a vector with 0 for it: hence
    (0, alpha, ..., alpha), the constant first as add_constant puts it. Without a constant a scalar will do.
    """
    return [0.0] + [_at_least_0("alpha", alpha)] * _count("n_features", n_features)


def from_statsmodels(alphas: Sequence[float]) -> float:
    """The inverse of `to_statsmodels`; ValueError when the constant is penalised or the others differ."""
    constant, *rest = [_at_least_0("alphas", value) for value in alphas] or [math.nan]
    if constant != 0.0 or len(set(rest)) != 1:
        raise ValueError(f"alphas must be 0 for the constant, then one repeated value, got {list(alphas)}")
    return rest[0]


def to_statsmodels_logit(alpha: float, n: float, n_features: int) -> list[float]:
    """`alpha` for Logit(y, add_constant(X)).fit_regularized(method="l1"): n alpha, with 0 for the constant.

    There the loss is a sum, not a mean, and the penalty is L1 only (l1_ratio = 1).
    """
    return to_statsmodels(_at_least_0("alpha", alpha) * _positive("n", n), n_features)


def from_statsmodels_logit(alphas: Sequence[float], n: float) -> float:
    """The inverse of `to_statsmodels_logit`."""
    return from_statsmodels(alphas) / _positive("n", n)


# ------------------------------------------------------------------------------------------------- checks


def _number(name: str, value: float, ok: bool, want: str) -> float:
    if not ok:
        raise ValueError(f"{name} must be {want}, got {value!r}")
    return float(value)


def _real(name: str, value: float) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def _at_least_0(name: str, value: float) -> float:
    return _number(name, value, 0.0 <= _real(name, value) < math.inf, "a finite number >= 0")


def _positive(name: str, value: float) -> float:
    return _number(name, value, 0.0 < _real(name, value) < math.inf, "a finite number > 0")


def _share(name: str, value: float) -> float:
    return _number(name, value, 0.0 <= _real(name, value) <= 1.0, "in [0, 1]")


def _count(name: str, value: int) -> int:
    ok = _real(name, value) >= 0.0 and float(value).is_integer()
    return int(_number(name, value, ok, "a whole number >= 0"))
