"""Ridge beside its own limits and beside scikit-learn: one thread, one process, every time the best of `--repeat`.

    python benchmarks/ridge.py [tall wide text] [--sms FILE.npz] [--peer N] [--repeat N]

For each problem: what the Gram, one eigendecomposition and the products that leave-one-out needs cost alone, the sums
that 100 α's are to stay within 1.3 times of (m = min(n, p)), and what `fit_path` and `RidgeCV` cost. "text" is the CSR
matrix in FILE (arrays data, indices, indptr, shape, y; in published figures 5574 messages × 50 505 word pairs), or one
drawn to look like it. scikit-learn's RidgeCV takes minutes with all 100 α's on "tall": `--peer N` gives it two runs,
with 2 and with N of them, and says what 100 come to, its cost being linear in their number.
"""

from __future__ import annotations

import argparse
import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn.linear_model as theirs
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dsyevd

import regfast
from regfast.blas import single_threaded

N_ALPHAS = 100


def seconds(call: Callable[[], Any], repeat: int) -> float:
    """The shortest of a few runs."""
    spent = []
    for _ in range(repeat):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return min(spent)


def dense(n: int, p: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X[:, :20] @ rng.standard_normal(20) + 5 * rng.standard_normal(n)


def text(file: str | None) -> tuple[Any, Any]:
    if file is not None:
        with np.load(file) as z:
            shape = tuple(int(x) for x in z["shape"])
            X = sp.csr_array((z["data"].astype(float), z["indices"], z["indptr"]), shape=shape)
            return X, z["y"].astype(float)
    rng = np.random.default_rng(0)
    columns = np.minimum(rng.zipf(1.3, (5574, 27)) - 1, 50_504)
    X = sp.csr_array((np.ones(columns.size), columns.ravel(), 27 * np.arange(5575)), shape=(5574, 50_505))
    X.sum_duplicates()
    return X, (np.asarray(X[:, [3]].toarray())[:, 0] + rng.standard_normal(5574) > 0.5).astype(float)


def limits(X: Any, repeat: int) -> tuple[float, float, float, float]:
    """Seconds for Gram, eigendecomposition, 2m²·100 flops, and the products of exact leave-one-out."""
    n, p = X.shape
    short = min(n, p)
    if sp.issparse(X):
        gram = seconds(lambda: (X @ X.T).toarray(), repeat)
        G = (X @ X.T).toarray()
    else:
        lying = X.T if X.flags.c_contiguous else X  # as BLAS wants it, without a copy
        trans = int((lying is X) == (n > p))
        gram = seconds(lambda: dsyrk(1.0, lying, trans=trans), repeat)
        G = np.triu(dsyrk(1.0, lying, trans=trans))
        G += np.triu(G, 1).T
    eigen = seconds(lambda: dsyevd(np.array(G, order="F"), overwrite_a=1), 1 if short > 3000 else repeat)
    B = np.ones((short, N_ALPHAS))
    back = seconds(lambda: G @ B, repeat)
    rows = X if n > p else G
    loo = seconds(lambda: rows @ B, repeat) * 2
    if n > p:
        part = X[:10_000]
        loo += seconds(lambda: part @ G, repeat) * n / len(part)
    return gram, eigen, back, loo


def peer(X: Any, y: Any, alphas: Any, few: int | None) -> float:
    """Seconds of scikit-learn's RidgeCV over all α's, or what two shorter runs say it takes."""
    def run(count: int) -> float:
        return seconds(lambda: theirs.RidgeCV(alphas[:: max(1, len(alphas) // count)][:count]).fit(X, y), 1)

    if few is None:
        return run(len(alphas))
    a, b = run(2), run(few)
    return a + (b - a) / (few - 2) * (len(alphas) - 2)


def measure(name: str, X: Any, y: Any, repeat: int, few: int | None) -> None:
    n, p = X.shape
    gram, eigen, back, loo = limits(X, repeat)
    alphas = np.geomspace(1e-2, 1e4, N_ALPHAS)
    theirs.RidgeCV([1.0]).fit(X[:50], y[:50])  # (what it imports late is not its cost)
    path = seconds(lambda: regfast.fit_path(X, y, l1_ratio=0, early_stop=False, standardize=False), repeat)
    found = regfast.fit_path(X, y, l1_ratio=0, early_stop=False, standardize=False)
    ours = seconds(lambda: regfast.RidgeCV(alphas).fit(X, y), 1 if min(n, p) > 3000 else repeat)
    other = peer(X, y, alphas, few)
    bound = gram + eigen + back
    print(f"{name}: {n} x {p}")
    print(f"  Gram {gram:.3f} s, eigendecomposition {eigen:.3f} s, 2m²·100 flops {back:.4f} s, products {loo:.3f} s")
    lift = 0.0
    if n <= p:  # the coefficients of 100 α's, X'C, which 2m²·100 does not count
        C = np.ones((n, N_ALPHAS))
        lift = seconds(lambda: X.T @ C, repeat)
    print(f"  path of {len(found)} alphas {path:.3f} s = {path / bound:.2f} x {bound:.3f} s, with p·100 coefficients "
          f"{path / (bound + lift):.2f} x {bound + lift:.3f} s; worst gap {found.gaps.max():.1e}")
    print(f"  exact leave-one-out {ours:.3f} s = {ours / (bound + loo):.2f} x {bound + loo:.3f} s")
    how = "" if few is None else " (extrapolated)"
    print(f"  scikit-learn's RidgeCV {other:.3f} s{how} = {other / ours:.2f} x ours", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", choices=["tall", "wide", "text", []], default=[])
    parser.add_argument("--sms")
    parser.add_argument("--peer", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    make = {"tall": lambda: dense(100_000, 1000), "wide": lambda: dense(1000, 20_000), "text": lambda: text(given.sms)}
    with single_threaded():
        for name in given.problems or make:
            X, y = make[name]()
            measure(name, X, y, given.repeat, given.peer)


if __name__ == "__main__":
    main()
