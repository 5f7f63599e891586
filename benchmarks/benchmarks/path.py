"""Whole fits, from arrays to certified result; the gap is 1e-7 throughout."""

from __future__ import annotations

import regfast

from .problems import problem

SIZES = ("100x20", "1000x1000", "300x3000", "20000x100")


class Path:
    """The default grid of 100 α's, and one α in the middle of it from a cold start."""

    params = ([f"{size} {order}" for size in SIZES for order in "CF"] + ["1000x5000 CSR"], [1.0, 0.5])
    param_names = ("problem", "l1_ratio")
    timeout = 300

    def setup(self, name: str, l1_ratio: float) -> None:
        self.X, self.y = problem(name)
        self.alpha = 0.1 * regfast.alpha_max(self.X, self.y, l1_ratio=l1_ratio)

    def time_path(self, name: str, l1_ratio: float) -> None:
        regfast.fit_path(self.X, self.y, l1_ratio=l1_ratio)

    def time_fit(self, name: str, l1_ratio: float) -> None:
        regfast.fit_path(self.X, self.y, l1_ratio=l1_ratio, alphas=[self.alpha])


class Large:
    """100 α's from α_max to a tenth of it, where models of large data are chosen."""

    params = (["500x20000 C", "500x20000 F", "5000x50000 CSR", "20000x100000 CSR"], [1.0, 0.5])
    param_names = ("problem", "l1_ratio")
    timeout = 300

    def setup(self, name: str, l1_ratio: float) -> None:
        self.X, self.y = problem(name)

    def time_path(self, name: str, l1_ratio: float) -> None:
        regfast.fit_path(self.X, self.y, l1_ratio=l1_ratio, eps=0.1)

    def track_passes(self, name: str, l1_ratio: float) -> int:
        """Full passes over X that the path took."""
        return int(regfast.fit_path(self.X, self.y, l1_ratio=l1_ratio, eps=0.1).n_passes[-1])

    track_passes.unit = "passes"


class CrossValidation:
    """5 folds on one thread."""

    params = (["300x50 F", "500x2000 CSR"],)
    param_names = ("problem",)

    def setup(self, name: str) -> None:
        self.X, self.y = problem(name)

    def time_cv(self, name: str) -> None:
        regfast.fit_cv(self.X, self.y, cv=5)


def timeraw_import() -> tuple[str, str]:
    """What `import regfast` costs above its dependencies."""
    return "import regfast; regfast.fit_path", "import numpy, scipy.sparse"


timeraw_import.number = 1
