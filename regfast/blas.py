"""One guard that holds BLAS to one thread while kernels run.

BLAS changes its bits with its number of threads, and its pool spins beside ours. The guard is shared and counted: the
first fit to enter sets one thread, the last to leave restores what the user had, however many run at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_before: list[int] = []


@cache
def _libraries() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """How to get and set each library's number of threads. Finding them takes milliseconds; once is enough.

    threadpoolctl 3.8 lets one Python thread alone set OpenBLAS's number; who restores it here need not be who set it.
    """
    import scipy.linalg.cython_lapack  # noqa: F401  (the BLAS that the kernels call)
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return [(lib.get_num_threads, getattr(lib, "_real_set_num_threads", lib.set_num_threads)) for lib in found]


@contextmanager
def single_threaded() -> Iterator[None]:
    """BLAS on one thread, for as long as anybody is inside."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = [get() for get, _ in _libraries()]
            for _, put in _libraries():
                put(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for (_, put), number in zip(_libraries(), _before, strict=True):
                    put(number)
