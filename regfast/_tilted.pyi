from numpy import float64
from numpy.typing import NDArray

from ._loss import Loss

class Tilted(Loss):
    def __init__(self, base: Loss, tilt: NDArray[float64]) -> None: ...
