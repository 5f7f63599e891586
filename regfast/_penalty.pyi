from numpy import float64
from numpy.typing import NDArray

class Penalty: ...

class ElasticNet(Penalty):
    def __init__(self, l1: NDArray[float64], l2: NDArray[float64], lo: NDArray[float64],
                 hi: NDArray[float64],
                 d: NDArray[float64] | None = None) -> None: ...
