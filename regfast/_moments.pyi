from typing import Any

from numpy.typing import NDArray

from ._design import Design

def moments(X: Design, w: NDArray[Any], u: NDArray[Any], mean: NDArray[Any], var: NDArray[Any],
            mark: NDArray[Any]) -> None: ...
def products(X: Design, v: NDArray[Any], out: NDArray[Any], shift: NDArray[Any] | None = None) -> None: ...
