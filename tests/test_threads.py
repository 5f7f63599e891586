"""Fits at the same time, on one X: the bits of fits one by one, and nobody's thread settings touched."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from oracle import make_data
from threadpoolctl import threadpool_info, threadpool_limits

import regfast
from regfast import fit_cv, fit_path
from regfast.blas import single_threaded

X, Y, W = make_data(n=120, p=300, density=0.5)
STORAGES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "CSR": sp.csr_array, "CSC": sp.csc_array}
every_storage = pytest.mark.parametrize("storage", STORAGES.values(), ids=list(STORAGES))


def bits(result: Any) -> list[bytes]:
    """Everything that a fit computed, as bytes."""
    if isinstance(result, regfast.CVPath):
        return [result.scores.tobytes(), result.oof_predictions.tobytes(), *bits(result.path)]
    names = ("alphas", "intercepts", "deviance_ratio", "gaps", "n_iter", "n_passes")
    return [result.coefs.toarray().tobytes(), *(getattr(result, name).tobytes() for name in names)]


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of calls that all start together, each in a thread."""
    barrier = threading.Barrier(len(calls))
    out: list[Any] = [None] * len(calls)

    def run(k: int) -> None:
        barrier.wait()
        try:
            out[k] = calls[k]()
        except BaseException as error:  # a thread must not swallow it
            out[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in out:
        if isinstance(result, BaseException):
            raise result
    return out


@every_storage
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_eight_threads_on_one_x(storage: Any, dtype: str) -> None:
    A = storage(X.astype(dtype))
    problems: list[dict[str, Any]] = [
        {}, {"l1_ratio": 0.5}, {"sample_weight": W}, {"standardize": False}, {"bounds": (0, np.inf)},
        {"fit_intercept": False}, {"penalty_factors": np.where(np.arange(300) < 5, 0.0, 1.0)}, {"l1_ratio": 0.9},
    ]  # fmt: skip
    calls = [lambda options=options: fit_path(A, Y, n_alphas=15, **options) for options in problems]
    alone = [bits(call()) for call in calls]
    for _ in range(2):
        assert [bits(result) for result in at_once(calls)] == alone


@every_storage
def test_the_same_fit_eight_times_at_once(storage: Any) -> None:
    A = storage(X)
    alone = bits(fit_path(A, Y, n_alphas=15))
    assert all(bits(result) == alone for result in at_once([lambda: fit_path(A, Y, n_alphas=15)] * 8))


def test_two_cross_validations_at_once() -> None:
    A = sp.csr_array(X)
    calls = [lambda: fit_cv(A, Y, cv=4, n_alphas=20, n_jobs=2), lambda: fit_cv(X, Y, cv=5, n_alphas=20, n_jobs=2)]
    alone = [bits(call()) for call in calls]
    assert [bits(result) for result in at_once(calls)] == alone


def test_estimators_and_certificates_at_once() -> None:
    model = regfast.Lasso(alpha=0.5)
    path = fit_path(X, Y, alphas=[0.5])
    coef, intercept = path.coefs.toarray()[:, 0], path.intercepts[0]
    fits = at_once([lambda: regfast.Lasso(alpha=0.5).fit(X, Y).coef_] * 4
                   + [lambda: regfast.certify(X, Y, coef, intercept, alpha=0.5).gap] * 4)  # fmt: skip
    assert all((fit == model.fit(X, Y).coef_).all() for fit in fits[:4])
    assert len(set(fits[4:])) == 1


def test_another_thread_keeps_running() -> None:
    """The GIL is released: Python goes on counting while a fit runs."""
    ticks, stop = [0], threading.Event()
    A, y, _ = make_data(n=500, p=2000, seed=1)

    def count() -> None:
        while not stop.is_set():
            ticks[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    try:
        seen: list[int] = []
        fit_path(A, y, n_alphas=10, tol=1e-10, progress=lambda done, total: seen.append(ticks[0]))
    finally:
        stop.set()
        counter.join()
    assert seen[-1] > seen[0]


def pools() -> list[tuple[Any, Any, Any]]:
    return sorted((pool["filepath"], pool["internal_api"], pool["num_threads"]) for pool in threadpool_info())


@pytest.mark.parametrize("threads", [1, 2])
def test_the_users_thread_settings_are_left_alone(threads: int) -> None:
    A = sp.csr_array(X)
    fit_path(X, Y, alphas=[0.1, 0.0])  # everything is loaded
    with threadpool_limits(threads):
        before = pools()
        at_once([lambda: fit_path(X, Y, n_alphas=15), lambda: fit_path(A, Y, n_alphas=15)] * 4)
        fit_path(X, Y, alphas=[0.1, 0.0])
        fit_cv(X, Y, cv=3, n_alphas=10, n_jobs=2)
        assert pools() == before


@pytest.mark.parametrize("call", [
    lambda: fit_path(X, Y, n_alphas=30), lambda: fit_path(sp.csr_array(X), Y, n_alphas=30, l1_ratio=0.5),
    lambda: fit_path(X[:, :90], Y, n_alphas=30, penalty_factors=np.where(np.arange(90) < 30, 0.0, 1.0)),
    lambda: fit_cv(X, Y, cv=3, n_alphas=10, n_jobs=2), lambda: fit_path(*make_data(n=300, p=900)[:2], n_alphas=20),
    lambda: fit_path(*make_data(n=300, p=900)[:2], n_alphas=20, l1_ratio=0),
    lambda: fit_path(*make_data(n=900, p=300)[:2], n_alphas=20, l1_ratio=0),
], ids=["path", "CSR", "free", "cv", "large", "wide ridge", "tall ridge"])  # fmt: skip
def test_the_number_of_blas_threads_changes_no_bit(call: Callable[[], Any]) -> None:
    got = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            got.append(bits(call()))
    assert got[0] == got[1]


def test_the_last_to_leave_restores_blas_while_the_first_lives_on() -> None:
    first_in, last_in, first_out, last_out, end = (threading.Event() for _ in range(5))
    inside: list[list[int]] = []

    def threads_of_blas() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    def first() -> None:
        with single_threaded():
            first_in.set()
            last_in.wait(10)
        first_out.set()
        end.wait(10)

    def last() -> None:
        first_in.wait(10)
        with single_threaded():
            last_in.set()
            first_out.wait(10)
            inside.append(threads_of_blas())
        last_out.set()

    before = threads_of_blas()
    workers = [threading.Thread(target=target) for target in (first, last)]
    for worker in workers:
        worker.start()
    assert last_out.wait(10)
    after = threads_of_blas()
    end.set()
    for worker in workers:
        worker.join()
    assert inside == [[1] * len(before)]
    assert after == before
