"""Peak memory: of a whole process (`peakmem`), and what a fit adds to its input."""

from __future__ import annotations

import regfast

from .growth import measure
from .problems import problem


class Peak:
    """NumPy, SciPy, the problem itself and how it was made count too: for comparing versions, not for its size."""

    params = (["500x8000 C", "500x8000 F", "5000x50000 CSR"],)
    param_names = ("problem",)

    def setup(self, name: str) -> None:
        self.X, self.y = problem(name)

    def peakmem_path(self, name: str) -> None:
        regfast.fit_path(self.X, self.y, eps=0.1)


def track_growth() -> int:
    """Growth of the high-water mark of a fresh process by one path on sparse text, after loading."""
    return measure()["growth"]


track_growth.unit = "bytes"
