"""Work that several threads share, and that Ctrl-C stops in all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def side_by_side(jobs: Sequence[Callable[[], T]], workers: int, stop: NDArray[np.int32],
                 tell: Callable[[int], Any] | None = None) -> list[T]:
    """What the jobs return, `workers` of them at a time; `tell(count)` hears how many are done.

    The first exception, or Ctrl-C, sets `stop[0]`, for which the jobs look, and is raised when they have ended.
    """
    if workers == 1 or len(jobs) == 1:
        out = []
        for job in jobs:
            out.append(job())
            if tell is not None:
                tell(len(out))
        return out
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            waiting, count = set(futures), 0
            while waiting:
                done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    count += 1
                    if tell is not None:
                        tell(count)
        except BaseException:
            stop[0] = 1
            for future in futures:
                future.cancel()
            raise
        return [future.result() for future in futures]
