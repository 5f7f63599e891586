from typing import Any

from numpy.typing import NDArray

from ._design import Design

def tally(X: Design, mean: NDArray[Any], root: NDArray[Any], e: NDArray[Any], which: NDArray[Any], first: int,
          total: int, out: NDArray[Any], stop: NDArray[Any] | None = None) -> None: ...
