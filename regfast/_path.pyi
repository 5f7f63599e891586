from collections.abc import Callable
from typing import Any

from numpy import float64, int32, intp
from numpy.typing import NDArray

from ._design import Design
from ._loss import Loss
from ._penalty import Penalty

Float = NDArray[float64]

class Fit:
    n_iter: int
    n_passes: int
    error: BaseException | None
    def __init__(self, X: Design, pen: Penalty, loss: Loss, w: Float, mean: Float, h: Float, intercept: bool,
                 block: NDArray[intp], root: Float, loose: NDArray[intp], by_kkt: bool,
                 stop: NDArray[int32]) -> None: ...
    def start(self, floor: float) -> tuple[int, float, float]: ...
    def largest_pull(self, factors: Float, scale: Float, noise: float) -> float: ...
    def correlation(self) -> Float: ...
    def coef(self) -> Float: ...
    def at(self, coef: Float, alpha: float) -> tuple[float, float, float, float, float]: ...
    def warm(self, coef: Float) -> None: ...
    def run(self, alphas: Float, before: float, tol: float, max_iter: int, early_stop: bool, total: float,
            report: Callable[[int, float], Any] | None) -> tuple[NDArray[Any], ...]: ...
