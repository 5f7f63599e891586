"""The problems and the solvers of versus.py, which sets the number of threads before this is imported."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

FAMILIES = {  # rows, columns, correlation of neighbouring columns (None: sparse, as in text), true non-zeros, l1_ratio;
    # "lasso" and "enet" are squared error, "logit" logistic regression
    "lasso-tiny": (100, 20, 0.5, 5, 1.0),
    "lasso-wide": (500, 20_000, 0.5, 50, 1.0),
    "lasso-wide-corr": (400, 20_000, 0.95, 50, 1.0),
    "enet-wide": (500, 20_000, 0.5, 50, 0.5),
    "lasso-huge": (1000, 100_000, 0.3, 100, 1.0),
    "lasso-tall": (50_000, 300, 0.5, 100, 1.0),
    "lasso-square": (4000, 4000, 0.8, 200, 1.0),
    "lasso-text": (10_000, 100_000, None, 500, 1.0),
    "logit-wide": (500, 10_000, 0.3, 30, 1.0),
    "logit-tall": (20_000, 200, 0.5, 60, 1.0),
    "logit-text": (10_000, 100_000, None, 500, 1.0),
}
Record = dict[str, Any]


# ---------------------------------------------------------------------------------------------------- problems


@dataclass(frozen=True)
class Problem:
    """X (n, p) in Fortran order or CSR, y (n,) of mean 0 and variance 1 (`binary`: 0 and 1), and the objective."""

    X: Any
    y: Any
    l1_ratio: float = 1.0
    binary: bool = False

    @cached_property
    def means(self) -> Any:
        """(p,) of the columns."""
        return np.asarray(self.X.mean(axis=0)).ravel()

    @cached_property
    def alphas(self) -> Any:
        """(100,) geometric from alpha_max to alpha_max/100 where n < p, else to alpha_max/1000."""
        n, p = self.X.shape
        top = np.abs(self.X.T @ (self.y - self.y.mean())).max() / n / self.l1_ratio
        return np.geomspace(top, top * (1e-2 if n < p else 1e-3), 100)

    def objective(self, coefs: Any) -> Any:
        """(100,) values of loss + α(l1_ratio‖b‖₁ + (1 − l1_ratio)/2‖b‖²) at the best intercept, over P_null.

        The loss is 1/(2n)‖y − b0 − Xb‖² or, of a binary y, the mean log loss. `coefs` (p, k) may be sparse; columns of
        a path that ended early, k < 100, count as zero.
        """
        b = sp.csr_matrix(coefs)
        b.resize(b.shape[0], len(self.alphas))
        used = np.flatnonzero(np.diff(b.indptr))
        b = b[used].toarray()
        eta = self.X[:, used] @ b
        penalty = self.alphas * (self.l1_ratio * np.abs(b).sum(axis=0) + (1 - self.l1_ratio) / 2 * (b**2).sum(axis=0))
        if not self.binary:
            return ((self.y[:, None] - eta).var(axis=0) / 2 + penalty) / (self.y.var() / 2)
        null = self.log_loss(np.zeros((len(self.y), 1)))
        return (self.log_loss(eta) + penalty) / null

    def log_loss(self, eta: Any) -> Any:
        """(k,) of linear predictors (n, k) with the best intercept, by Newton's method between brackets."""
        lo, hi, b0 = np.full(eta.shape[1], -1e3), np.full(eta.shape[1], 1e3), np.zeros(eta.shape[1])
        for _ in range(100):
            mean = expit(eta + b0)
            slope, bent = (self.y[:, None] - mean).mean(axis=0), (mean * (1 - mean)).mean(axis=0)
            lo, hi = np.where(slope > 0, b0, lo), np.where(slope > 0, hi, b0)
            there = b0 + slope / np.maximum(bent, 1e-12)
            new = np.where((lo < there) & (there < hi), there, (lo + hi) / 2)
            moved, b0 = np.abs(new - b0).max(), new
            if moved <= 1e-12:
                break
        return (np.logaddexp(0, eta + b0) - self.y[:, None] * (eta + b0)).mean(axis=0)


def make(name: str) -> Problem:
    """The problem of a name."""
    if name.startswith("file:"):
        return from_file(name.removeprefix("file:"))
    n, p, rho, k, l1_ratio = FAMILIES[name]
    rng = np.random.default_rng(0)
    X = text(rng, n, p) if rho is None else correlated(rng, n, p, rho)
    b = np.zeros(X.shape[1])
    b[rng.choice(min(len(b), 20_000), k, replace=False)] = rng.standard_normal(k)
    signal = X @ b
    if name.startswith("logit"):
        return Problem(X, (rng.random(n) < expit(2 * standardised(signal))).astype(float), l1_ratio, binary=True)
    return Problem(X, standardised(signal + signal.std() / 2 * rng.standard_normal(n)), l1_ratio)


def standardised(a: Any) -> Any:
    """`a` with mean 0 and variance 1 along its first axis, in place where it is floating."""
    a = np.asarray(a, dtype=np.float64)
    a -= a.mean(axis=0)
    a /= a.std(axis=0)
    return a


def correlated(rng: np.random.Generator, n: int, p: int, rho: float) -> Any:
    """(n, p) standardised normal columns, corr(x_i, x_j) = rho^|i − j|."""
    rows = rng.standard_normal((p, n))
    for before, row in pairwise(rows):
        row *= np.sqrt(1 - rho**2)
        row += rho * before
    return standardised(rows.T)


def text(rng: np.random.Generator, n: int, p: int) -> Any:
    """CSR like tf-idf: columns as frequent as Zipf's law has it, about 60 draws and length 1 for each row."""
    share = 1 / np.arange(1, p + 1)
    share /= share.sum()
    indptr = np.concatenate([[0], np.cumsum(np.maximum(rng.poisson(60, n), 1))])
    words = rng.choice(p, indptr[-1], p=share)
    weights = -np.log(share[words]) * rng.lognormal(0, 0.5, len(words))
    X = sp.csr_matrix((weights, words, indptr), shape=(n, p))
    X.sum_duplicates()
    return unit_rows(X)


def unit_rows(X: Any) -> Any:
    """CSR X with rows of length 1 and without its empty columns."""
    length = np.sqrt(np.bincount(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.data**2, X.shape[0]))
    X.data /= np.repeat(np.maximum(length, 1e-12), np.diff(X.indptr))
    return sp.csr_matrix(X[:, np.unique(X.indices)])


def from_file(file: str) -> Problem:
    """Real data: dense columns are standardised, constant ones left out; counts become tf-idf with unit rows.

    A response of two values is for logistic regression.
    """
    stored = np.load(file)
    levels = np.unique(stored["y"])
    binary = len(levels) == 2
    y = (stored["y"] == levels[-1]).astype(float) if binary else standardised(stored["y"])
    if "indptr" not in stored:
        X = np.asfortranarray(stored["X"], dtype=np.float64)
        return Problem(standardised(X[:, X.std(axis=0) > 1e-12].copy(order="F")), y, binary=binary)
    X = sp.csr_matrix(tuple(stored[k] for k in ("data", "indices", "indptr")), stored["shape"], dtype=np.float64)
    X.sum_duplicates()
    if stored["data"].dtype.kind not in "iu":
        return Problem(sp.csr_matrix(X[:, np.unique(X.indices)]), y, binary=binary)
    rarity = np.log(X.shape[0] / np.maximum(np.bincount(X.indices, minlength=X.shape[1]), 1))
    X.data = np.log1p(X.data) * rarity[X.indices]
    return Problem(unit_rows(X), y, binary=binary)


# ----------------------------------------------------------------------------------------------------- solvers
# Each converts X to what it likes best and warms up, unseen by the clock, then yields fit(tol) -> (seconds, result) and
# read(result) -> (coefficients (p, k), what else to note). Intercepts are not read: the objective takes the best one.


def clocked(call: Callable[..., Any], *args: Any, **named: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call(*args, **named)
    return time.perf_counter() - began, result


def squares_only(problem: Problem) -> None:
    """Say so where a solver has no path of the loss with an intercept; versus.py lists it among the failed."""
    if problem.binary:
        raise ValueError("this solver has no logistic path with an intercept")


def by_column(problem: Problem) -> tuple[Any, Record]:
    """X by column, and the arguments that make solvers of the scikit-learn kind centre it if it is sparse."""
    if not sp.issparse(problem.X):
        return problem.X, {}
    return problem.X.tocsc(), {"X_offset": problem.means, "X_scale": np.ones(problem.X.shape[1])}


@contextmanager
def regfast(problem: Problem) -> Iterator[Any]:
    from regfast import fit_path

    yield (lambda tol: clocked(fit_path, problem.X, problem.y, l1_ratio=problem.l1_ratio, alphas=problem.alphas,
                               family="binomial" if problem.binary else "gaussian", standardize=False, tol=tol),
           lambda path: (path.coefs, {"n_passes": path.n_passes[-1].item()}))


@contextmanager
def scikit_learn(problem: Problem) -> Iterator[Any]:
    from sklearn.linear_model import enet_path

    squares_only(problem)
    X, centre = by_column(problem)
    yield (lambda tol: clocked(enet_path, X, problem.y, l1_ratio=problem.l1_ratio, alphas=problem.alphas, tol=tol,
                               max_iter=100_000, copy_X=False, **centre),
           lambda result: (result[1], {}))


@contextmanager
def celer(problem: Problem) -> Iterator[Any]:
    from celer import celer_path

    squares_only(problem)
    X, centre = by_column(problem)
    yield (lambda tol: clocked(celer_path, X, problem.y, pb="lasso", l1_ratio=problem.l1_ratio, alphas=problem.alphas,
                               tol=tol, max_iter=100, max_epochs=100_000, **centre),
           lambda result: (result[1], {}))


@contextmanager
def skglm(problem: Problem) -> Iterator[Any]:
    from skglm.datafits import Logistic, Quadratic
    from skglm.penalties import L1, L1_plus_L2
    from skglm.solvers import AndersonCD, ProxNewton

    X, _ = by_column(problem)
    loss, y = (Logistic(), 2 * problem.y - 1) if problem.binary else (Quadratic(), problem.y)
    penalty = L1(1.0) if problem.l1_ratio == 1 else L1_plus_L2(1.0, problem.l1_ratio)

    def path(alphas: Any, tol: float) -> Any:
        solver = ProxNewton(max_iter=1000, tol=tol, fit_intercept=True, warm_start=True) if problem.binary else \
            AndersonCD(max_iter=1000, max_epochs=100_000, tol=tol, fit_intercept=True, warm_start=True)
        b, fitted, coefs = np.zeros(X.shape[1] + 1), np.zeros(X.shape[0]), np.zeros((len(alphas), X.shape[1]))
        for k, penalty.alpha in enumerate(alphas):
            b, *_ = solver.solve(X, y, loss, penalty, b, fitted)
            fitted = X @ b[:-1] + b[-1]
            coefs[k] = b[:-1]
        return coefs

    path(problem.alphas[:2], 1e-3)  # compiles
    yield lambda tol: clocked(path, problem.alphas, tol), lambda coefs: (coefs.T, {})


@contextmanager
def adelie(problem: Problem) -> Iterator[Any]:
    from adelie import glm, grpnet, matrix

    threads = int(os.environ["OMP_NUM_THREADS"])
    response = glm.binomial if problem.binary else glm.gaussian
    X, _ = by_column(problem)
    X = (matrix.sparse if sp.issparse(X) else matrix.dense)(X, n_threads=threads)
    yield (lambda tol: clocked(grpnet, X, response(problem.y), alpha=problem.l1_ratio, lmda_path=problem.alphas,
                               tol=tol, max_iters=10**7, early_exit=False, adev_tol=1.0, ddev_tol=0.0,
                               n_threads=threads, progress_bar=False),
           lambda state: (state.betas.T, {}))


GLMNET = """
suppressMessages({library(glmnet); library(Matrix)})
real <- function(name) readBin(name, "double", file.size(name) / 8)
whole <- function(name) readBin(name, "integer", file.size(name) / 4)
shape <- whole("shape"); X <- real("data"); y <- real("y"); alphas <- real("alphas"); l1_ratio <- real("l1_ratio")
family <- if (whole("binary")) "binomial" else "gaussian"
if (file.exists("indptr")) {
  X <- new("dgCMatrix", x = X, i = whole("indices"), p = whole("indptr"), Dim = shape)
} else dim(X) <- shape
glmnet.control(fdev = 0, devmax = 1)  # no early end of the path
path <- function(lambda, thresh)
  glmnet(X, y, family = family, alpha = l1_ratio, lambda = lambda, standardize = FALSE, thresh = thresh, maxit = 1e9)
warm <- path(alphas[1:2], 1e-3)
asked <- file("stdin", "r")
while (length(tol <- readLines(asked, 1))) {
  began <- Sys.time(); fit <- path(alphas, as.numeric(tol)); took <- as.numeric(Sys.time() - began, units = "secs")
  b <- as(fit$beta, "CsparseMatrix")
  writeBin(b@x, "b_data"); writeBin(b@i, "b_indices"); writeBin(b@p, "b_indptr")
  cat(took, "\\n"); flush(stdout())
}
"""


@contextmanager
def glmnet(problem: Problem) -> Iterator[Any]:
    """R holds X and answers one tolerance a line with the seconds on its own clock."""
    X, _ = by_column(problem)
    arrays = {"data": (X.data if sp.issparse(X) else X.T, "<f8"), "shape": (X.shape, "<i4"), "y": (problem.y, "<f8"),
              "alphas": (problem.alphas, "<f8"), "l1_ratio": ([problem.l1_ratio], "<f8"),
              "binary": ([int(problem.binary)], "<i4")}
    if sp.issparse(X):
        arrays |= {"indices": (X.indices, "<i4"), "indptr": (X.indptr, "<i4")}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        for name, (array, dtype) in arrays.items():
            np.asarray(array, dtype=dtype).tofile(Path(folder) / name)
        (Path(folder) / "path.R").write_text(GLMNET)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
        with subprocess.Popen(["Rscript", "path.R"], cwd=folder, text=True, **pipes) as r:

            def fit(tol: float) -> tuple[float, None]:
                with suppress(BrokenPipeError):
                    print(tol, file=r.stdin, flush=True)
                if not (answer := r.stdout.readline()):
                    log.seek(0)
                    raise RuntimeError(log.read()[-300:].strip())
                return float(answer), None

            def read(_: None) -> Any:
                parts = [np.fromfile(Path(folder) / f"b_{name}", dtype)
                         for name, dtype in (("data", "<f8"), ("indices", "<i4"), ("indptr", "<i4"))]
                return sp.csc_matrix(tuple(parts), shape=(X.shape[1], len(parts[-1]) - 1)), {}

            yield fit, read


SOLVERS = {  # and the ladder of each one's own tolerances
    "regfast": (regfast, (1e-3, 1e-5, 1e-7, 1e-9, 1e-11)),
    "scikit-learn": (scikit_learn, (1e-3, 1e-4, 1e-6, 1e-8, 1e-10)),
    "celer": (celer, (1e-3, 1e-5, 1e-7, 1e-9, 1e-11)),
    "skglm": (skglm, (1e-2, 1e-3, 1e-4, 1e-5, 1e-7, 1e-9)),
    "adelie": (adelie, (1e-5, 1e-7, 1e-9, 1e-11, 1e-13, 1e-15)),
    "glmnet": (glmnet, (1e-5, 1e-7, 1e-9, 1e-11, 1e-13, 1e-15)),
}
