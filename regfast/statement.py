"""What a linear model minimises, in regfast's terms: parameters alone, neither data nor a solution."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Statement(NamedTuple):
    """The objective of a model, whoever's.

    Attributes
    ----------
    family : str
        As `fit_path` takes it.
    strength : float
        α, or Σw·α where `summed`: C and Ridge's alpha stand beside a sum over rows, and α depends on their number.
    summed : bool
    l1_ratio : float
    fit_intercept, standardize : bool
    penalty_factors : (p,), or None
    bounds : pair of scalars or (p,), or None
    grouped : bool
        The coefficients of a column enter together.
    class_weight : dict, "balanced" or None
    has_offset : bool
    """

    family: str
    strength: float
    summed: bool = False
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    standardize: bool = False
    penalty_factors: Any = None
    bounds: Any = None
    grouped: bool = False
    class_weight: Any = None
    has_offset: bool = False

    def alpha(self, total: float) -> float:
        """α, for weights that add up to `total`."""
        return self.strength / total if self.summed else self.strength

    @property
    def positive(self) -> bool:
        """Whether the bounds say that no coefficient is negative, and no more."""
        return self.bounds is not None and not np.any(self.bounds[0]) and bool(np.all(np.isposinf(self.bounds[1])))

    @property
    def bounded(self) -> bool:
        """Whether the bounds say anything."""
        return self.bounds is not None and bool(np.isfinite(np.hstack(self.bounds)).any())

    @property
    def weighs_columns(self) -> bool:
        """Whether columns are penalised differently."""
        return self.penalty_factors is not None and bool(np.any(np.asarray(self.penalty_factors) != 1))
