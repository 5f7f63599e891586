"""One guard that holds BLAS to one thread while kernels run.

BLAS changes its bits with its number of threads, and its pool spins beside ours. The guard is shared and counted: the
first fit to enter sets one thread, the last to leave restores what the user had, however many run at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_limiter: Any = None


@cache
def _controller() -> Any:
    """Finding the libraries takes milliseconds; once is enough, they are loaded by then."""
    import scipy.linalg.cython_lapack  # noqa: F401  (the BLAS that the kernels call)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def single_threaded() -> Iterator[None]:
    """BLAS on one thread, for as long as anybody is inside."""
    global _inside, _limiter
    with _lock:
        if _inside == 0:
            _limiter = _controller().limit(limits=1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limiter.restore_original_limits()
                _limiter = None
