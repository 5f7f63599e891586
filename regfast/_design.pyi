from typing import Any

from numpy.typing import NDArray

class Design:
    n: int
    p: int
    steps: int
    entries: int
    gauge_reads: int

def dense(X: NDArray[Any]) -> Design: ...
def sparse(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], n: int, p: int,
           by_column: bool) -> Design: ...
