from numpy import float64
from numpy.typing import NDArray

class Loss:
    n: int
    def __init__(self, y: NDArray[float64], w: NDArray[float64]) -> None: ...

class Gaussian(Loss): ...
