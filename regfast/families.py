"""Likelihoods: what a response must be, how predictions come from the linear predictor, which kernel fits it.

A further family is one class here and one in ``src/_loss.pyx``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from . import _loss
from . import validation as check
from .joint import Classes, Joint, Likelihood, One, Squares
from .validation import Float


class Response(NamedTuple):
    """What y says, as the kernels see it."""

    y: Float  # (n,)
    counts: Float | None = None  # (n,) what weights are to be multiplied by
    classes: NDArray[Any] | None = None  # (C,) labels


@dataclass(frozen=True)
class Family(ABC):
    """A likelihood with its link; `name` reads back through `get`."""

    name = ""
    link = "log"
    measure = ""  # what the deviance is called
    curvature = np.inf  # the most that ∂²ℓ/∂η² can be: ∞ leaves no safe sphere
    several = False  # predictors
    grouped = False  # whose coefficients of a column always enter together
    dropout = ""  # how its mean over dropout is known: "exact", "second order", or not
    known_scale = True  # −2 log-likelihood is n times the deviance; else the scale is estimated

    def response(self, y: Any, n: int) -> Response:
        """Check y (n,).

        Raises
        ------
        ValueError, TypeError
            It is not what the family can have; the message says what came and what is wanted.
        """
        return Response(check.vector("y", y, n))

    def shift(self, offset: Any, n: int, responses: int) -> Float:
        """An offset as the kernels see it."""
        return check.vector("offset", offset, n)

    def check(self, y: Float, w: Float) -> None:
        """Check the rows of positive weight: the null model must have a finite intercept. Here it always has.

        Raises
        ------
        ValueError
            It has not.
        """
        return

    @abstractmethod
    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        """The kernel's likelihood of a response under weights that sum to 1."""

    def joint(self, y: Float, w: Float, offset: Float | None) -> Likelihood:
        """The loss of all predictors at once: of one, y (n,), η (1, n)."""
        return One(self.loss(y, w, offset), y, w, offset)

    def inverse(self, eta: Float) -> Float:
        """The mean at a linear predictor."""
        return np.exp(eta)

    def deviance(self, y: Float, eta: Float, w: Float) -> float:
        """Weighted mean deviance of y (n,) from the mean at η (n,): −2 log-likelihood less the saturated one."""
        return 2 * self.loss(y, np.ascontiguousarray(w / w.sum()), None).deviance(np.ascontiguousarray(eta))

    @property
    def quadratic(self) -> bool:
        """Whether the loss is a squared error."""
        return False


@dataclass(frozen=True)
class Gaussian(Family):
    """Squared error, ½ (y − η)²."""

    name = "gaussian"
    dropout = "exact"
    measure = "squared error"
    link = "identity"
    curvature = 1.0
    known_scale = False

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        return _loss.Gaussian(y if offset is None else y - offset, w)

    def inverse(self, eta: Float) -> Float:
        return eta

    @property
    def quadratic(self) -> bool:
        return True


@dataclass(frozen=True)
class Binomial(Family):
    """Logistic regression, log(1 + e^η) − y η: labels of two classes, fractions, or (failures, successes)."""

    name = "binomial"
    dropout = "second order"
    measure = "binomial deviance"
    link = "logit"
    curvature = 0.25

    def response(self, y: Any, n: int) -> Response:
        if np.ndim(y) == 2 and np.shape(y)[1] == 2:
            return self._counted(y, n)
        values = check.labels("y", y, n)
        if values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1 and not np.isin(values, (0, 1)).all():
            return Response(values)
        classes = np.unique(values)
        if len(classes) != 2:
            shown = ", ".join(map(repr, classes[:5].tolist()))
            raise ValueError(f"y must hold two classes for family='binomial'; got {len(classes)}: {shown}"
                             f"{', …' if len(classes) > 5 else ''}")
        return Response((values == classes[1]).astype(np.float64), None, classes)

    @staticmethod
    def _counted(y: Any, n: int) -> Response:
        failures, successes = (check.vector(f"y[:, {k}]", np.asarray(y)[:, k], n) for k in range(2))
        total = failures + successes
        if min(failures.min(), successes.min()) < 0:
            raise ValueError("y must hold counts of failures and successes that are not negative; got "
                             f"{min(failures.min(), successes.min()):g}")
        if not (failures.any() and successes.any()):
            raise ValueError(f"y must hold both failures and successes; got {failures.sum():g} and {successes.sum():g}")
        return Response(np.divide(successes, total, out=np.zeros(n), where=total > 0), total)

    def check(self, y: Float, w: Float) -> None:
        mean = float(w @ y)
        if not (w * (1 - y)).any() or not (w * y).any():
            raise ValueError("y must hold both classes among the rows of positive weight; got only the "
                             f"{'second' if mean > 0.5 else 'first'}")

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        return _loss.Binomial(y, w, offset)

    def inverse(self, eta: Float) -> Float:
        return np.asarray(expit(eta))


@dataclass(frozen=True)
class Poisson(Family):
    """Counts, e^η − y η."""

    name = "poisson"
    dropout = "exact"
    measure = "Poisson deviance"

    def response(self, y: Any, n: int) -> Response:
        out = check.vector("y", y, n)
        if out.min() < 0:
            raise ValueError(f"y must not be negative for family={self.name!r}; got {out.min():g} at position "
                             f"{int(out.argmin())}")
        return Response(out)

    def check(self, y: Float, w: Float) -> None:
        if not (w * y).any():
            raise ValueError(f"y must have a positive value, in a row of positive weight, for family={self.name!r}; "
                             "all are 0")

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        return _loss.Poisson(y, w, offset)


@dataclass(frozen=True)
class Gamma(Family):
    """Positive amounts with a constant coefficient of variation, y e^−η + η."""

    name = "gamma"
    measure = "gamma deviance"
    known_scale = False

    def response(self, y: Any, n: int) -> Response:
        out = check.vector("y", y, n)
        if out.min() <= 0:
            raise ValueError(f"y must be positive for family='gamma'; got {out.min():g} at position "
                             f"{int(out.argmin())}")
        return Response(out)

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        return _loss.Gamma(y, w, offset)


@dataclass(frozen=True)
class CompoundPoisson(Poisson):
    """Amounts that may be zero, of variance μ^power, 1 < power < 2: what `Tweedie` makes between Poisson and gamma."""

    power: float = 1.5
    name: str = field(init=False, repr=False)
    measure: str = field(init=False, repr=False)
    dropout = ""
    known_scale = False

    def __post_init__(self) -> None:
        vars(self).update(name=f"tweedie({self.power!r})", measure=f"Tweedie deviance of power {self.power:g}")

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        return _loss.Tweedie(y, w, offset, self.power)


@dataclass(frozen=True)
class Several(Family):
    """Likelihoods of C linear predictors."""

    several = True

    @staticmethod
    def columns(name: str, values: Any, n: int) -> Float:
        """(C, n) of (n, C)"""
        if np.ndim(values) != 2 or not np.shape(values)[1]:
            raise ValueError(f"{name} must be ({n}, C), a column for each predictor; got shape {np.shape(values)}")
        return np.array([check.vector(f"{name}[:, {c}]", column, n) for c, column in enumerate(np.asarray(values).T)])

    def shift(self, offset: Any, n: int, responses: int) -> Float:
        if np.shape(offset) != (n, responses):
            raise ValueError(f"offset must be ({n}, {responses}), a column for each predictor; got shape "
                             f"{np.shape(offset)}")
        return self.columns("offset", offset, n)

    def deviance(self, y: Float, eta: Float, w: Float) -> float:
        """Weighted mean deviance of y (C, n) at η (n, C)."""
        return 2 * self.joint(y, w / w.sum(), None).value(eta.T)


@dataclass(frozen=True)
class Multinomial(Several):
    """Softmax regression over C ≥ 2 classes, log Σ_c e^η_c − Σ_c y_c η_c, with coefficients for each of them."""

    name = "multinomial"
    measure = "multinomial deviance"
    link = "logit"
    dropout = "second order"
    curvature = 0.5  # the largest eigenvalue of diag(μ) − μμ' (Böhning 1992)

    def response(self, y: Any, n: int) -> Response:
        """Labels (n,), or counts or shares (n, C), as rows y_c (C, n) that sum to 1 over the classes."""
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            counts = self.columns("y", y, n)
            if counts.min() < 0:
                raise ValueError(f"y must hold counts or shares that are not negative; got {counts.min():g}")
            total = counts.sum(axis=0)
            shares = np.divide(counts, total, out=np.full_like(counts, 1 / len(counts)), where=total > 0)
            return Response(shares, total, np.arange(len(counts)))
        classes, at = np.unique(check.labels("y", y, n), return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must hold at least two classes; got one: {classes.tolist()[0]!r}")
        return Response((at == np.arange(len(classes))[:, None]).astype(np.float64), None, classes)

    def check(self, y: Float, w: Float) -> None:
        missing = np.flatnonzero(~(y @ w > 0))
        if missing.size:
            raise ValueError(f"y must hold every class in a row of positive weight; class {missing[0]} has none")

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        """That of one class, y (n,), with the others' predictors in the offset (see `multinomial`)."""
        return _loss.Binomial(y, w, offset)

    def inverse(self, eta: Float) -> Float:
        """Probabilities, the classes along the last axis."""
        return np.asarray(softmax(eta, axis=-1))

    def joint(self, y: Float, w: Float, offset: Float | None) -> Joint:
        return Classes(y, w, offset)


@dataclass(frozen=True)
class MultiGaussian(Several):
    """Squared error of several responses, ½ ‖y − η‖², whose coefficients of a column enter together."""

    name = "multigaussian"
    measure = "squared error"
    link = "identity"
    curvature = 1.0
    known_scale = False
    grouped = True

    def response(self, y: Any, n: int) -> Response:
        """(C, n) of y (n, C)"""
        return Response(self.columns("y", y, n))

    def loss(self, y: Float, w: Float, offset: Float | None) -> _loss.Loss:
        """That of one response, y (n,)."""
        return _loss.Gaussian(y if offset is None else y - offset, w)

    def joint(self, y: Float, w: Float, offset: Float | None) -> Joint:
        return Squares(y, w, offset)

    def inverse(self, eta: Float) -> Float:
        return eta

def Tweedie(power: float = 1.5, link: str = "auto") -> Family:
    """The family of variance μ^power: 0 is Gaussian (identity link), 1 Poisson, 2 gamma, between them with a log link.

    Raises
    ------
    ValueError
        Another power, or a link that is not the family's: the loss would not be convex.
    """
    if isinstance(power, bool) or not isinstance(power, (int, float, np.integer, np.floating)):
        raise TypeError(f"power must be a number; got {power!r}")
    if not (power == 0 or 1 <= power <= 2):
        raise ValueError(f"power must be 0 or lie in [1, 2]; got {power}")
    known: dict[float, Family] = {0: Gaussian(), 1: Poisson(), 2: Gamma()}
    out = known.get(float(power)) or CompoundPoisson(float(power))
    if link not in ("auto", out.link):
        raise ValueError(f"link must be 'auto' or {out.link!r} for power={power}; got {link!r}")
    return out


NAMED: dict[str, Family] = {
    family.name: family for family in (Gaussian(), Binomial(), Multinomial(), Poisson(), Gamma(), MultiGaussian())}
"""Families that a string names."""


def get(family: Any) -> Family:
    """A family, from itself or its name.

    Raises
    ------
    ValueError
        No family has that name.
    """
    if isinstance(family, Family):
        return family
    if isinstance(family, str):
        if family in NAMED:
            return NAMED[family]
        power = re.fullmatch(r"tweedie\((\d+(?:\.\d*)?(?:e[+-]?\d+)?)\)", family)
        if power:
            return Tweedie(float(power[1]))
    raise ValueError(f"family must be one of {', '.join(map(repr, [*NAMED, 'tweedie(1.5)']))} or an object of "
                     f"regfast.families; got {family!r}")
