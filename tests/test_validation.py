"""What bad input gets: a ValueError or TypeError at the door that names the argument, what came and what is wanted."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from oracle import Array, make_data

import regfast
from regfast import alpha_max, certify, fit_cv, fit_path

X, Y, _ = make_data(n=30, p=4)
ONE, NONE = np.ones(30), np.zeros(0, dtype=int)


def put(x: Array, place: Any, value: Any) -> Array:
    x = x.astype(float).copy()
    x[place] = value
    return x


def frame(make: Callable[[Any], Any], **extra: Any) -> Any:
    return make({f"f{j}": X[:, j] for j in range(4)} | extra)


BAD_X: dict[str, tuple[Any, type[Exception], str]] = {
    "NaN": (put(X, (3, 2), np.nan), ValueError, "X contains NaN, first in column 2"),
    "inf": (put(X, (3, 1), np.inf), ValueError, "X contains infinity, first in column 1"),
    "-inf": (put(X, (0, 0), -np.inf), ValueError, "X contains infinity, first in column 0"),
    "NaN F": (np.asfortranarray(put(X, (3, 2), np.nan)), ValueError, "X contains NaN, first in column 2"),
    "NaN f4": (put(X, (3, 2), np.nan).astype("f4"), ValueError, "X contains NaN, first in column 2"),
    "NaN CSR": (sp.csr_array(put(X, (3, 2), np.nan)), ValueError, "X contains NaN, first in column 2"),
    "inf CSC": (sp.csc_array(put(X, (3, 1), np.inf)), ValueError, "X contains infinity, first in column 1"),
    "NaN pandas": (frame(pd.DataFrame, age=put(ONE, 4, np.nan)), ValueError, r"NaN, first in column 4 \('age'\)"),
    "NaN polars": (frame(pl.DataFrame, age=put(ONE, 4, np.nan)), ValueError, r"NaN, first in column 4 \('age'\)"),
    "huge": (put(X, (3, 2), 1e200), ValueError, "X .*too large to square.*column 2"),
    "1-D": (X[:, 0], ValueError, r"X must be 2-D, \(n, p\); got 1-D of shape \(30,\).*reshape"),
    "3-D": (X[:, :, None], ValueError, r"X must be 2-D.*got 3-D of shape \(30, 4, 1\)"),
    "0-D": (3.0, ValueError, "X must be 2-D"),
    "None": (None, (TypeError, ValueError), "X must be"),
    "no rows": (X[:0], ValueError, r"X must have at least one row; got shape \(0, 4\)"),
    "no rows CSR": (sp.csr_array(X[:0]), ValueError, "X must have at least one row"),
    "text": (np.full((30, 4), "a"), TypeError, "X must be numeric; got dtype <U1"),
    "object": (np.full((30, 4), "b", dtype=object), TypeError, "X must be numeric; got dtype object"),
    "complex": (X + 1j, ValueError, "X must be real; got dtype complex128"),
    "complex CSR": (sp.csr_array(X + 1j), (TypeError, ValueError), "X must be real.*complex128"),
    "dates": (np.full((30, 4), np.datetime64("2020-01-01")), TypeError, "X must be numeric; got dtype datetime64"),
    "masked": (np.ma.masked_greater(X, 1), ValueError, "X is a masked array with [0-9]+ masked entries"),
    "ragged": ([[1.0, 2.0], [3.0]], (TypeError, ValueError), "X must be"),
    "list of text": ([["a", "b"]] * 30, TypeError, "X must be numeric"),
    "dict": ({"a": 1}, TypeError, "X must be numeric"),
    "sparse 1-D": (sp.coo_array(X[:, 0]), ValueError, "X must be 2-D"),
    "pandas text": (frame(pd.DataFrame, town=["a"] * 30, b=ONE), TypeError, r"X has columns that are not.*\['town'\]"),
    "pandas category": (frame(pd.DataFrame, town=pd.Categorical(["a"] * 30)), TypeError, r"not numbers: \['town'\]"),
    "pandas date": (frame(pd.DataFrame, day=pd.date_range("2020-01-01", periods=30)), TypeError, r"\['day'\]"),
    "pandas NA": (frame(pd.DataFrame, age=pd.array([None, *[1.5] * 29], dtype="Float64")), ValueError, r"NaN.*'age'"),
    "polars text": (frame(pl.DataFrame, town=["a"] * 30), TypeError, r"not numbers: \['town'\]"),
    "polars date": (frame(pl.DataFrame, day=[datetime.date(2020, 1, 1)] * 30), TypeError, r"\['day'\]"),
    "polars null": (frame(pl.DataFrame, age=[None, *[1.5] * 29]), ValueError, r"NaN, first in column 4 \('age'\)"),
    "arrow text": (frame(pa.table, town=["a"] * 30), TypeError, r"not numbers: \['town'\]"),
    "arrow date": (frame(pa.table, day=[datetime.date(2020, 1, 1)] * 30), TypeError, r"\['day'\]"),
    "arrow null": (frame(pa.table, age=pa.array([None, *[1.5] * 29])), ValueError, r"NaN, first in column 4 \('age'\)"),
}


@pytest.mark.parametrize("name", BAD_X)
def test_bad_x(name: str) -> None:
    bad, error, message = BAD_X[name]
    with pytest.raises(error, match=message):
        fit_path(bad, Y)


def corrupt(kind: str, change: Callable[[Any], None]) -> Any:
    matrix = (sp.csr_array if kind == "csr" else sp.csc_array)(X)
    change(matrix)
    return matrix


CORRUPTIONS: dict[str, Callable[[Any], None]] = {
    "index too large": lambda m: m.indices.__setitem__(5, 10**6),
    "index just too large": lambda m: m.indices.__setitem__(-1, m.shape[1] if m.format == "csr" else m.shape[0]),
    "index negative": lambda m: m.indices.__setitem__(5, -1),
    "indptr falls": lambda m: m.indptr.__setitem__(2, m.indptr[3] + 1),
    "indptr too far": lambda m: m.indptr.__setitem__(-1, 10**6),
    "indptr negative": lambda m: m.indptr.__setitem__(0, -5),
    "indptr late": lambda m: m.indptr.__setitem__(0, 1),
    "indptr short": lambda m: setattr(m, "indptr", m.indptr[:-1].copy()),
    "indptr empty": lambda m: setattr(m, "indptr", m.indptr[:0].copy()),
    "data short": lambda m: setattr(m, "data", m.data[:-3].copy()),
    "indices short": lambda m: setattr(m, "indices", m.indices[:-3].copy()),
}


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupt_sparse_matrices_are_refused(name: str, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"X is not a valid {kind} matrix of shape \(30, 4\)"):
        fit_path(corrupt(kind, CORRUPTIONS[name]), Y)


COMMON: dict[str, tuple[dict[str, Any], type[Exception] | tuple[type[Exception], ...], str]] = {
    "y long": ({"y": np.ones(31)}, ValueError, "y must have 30 entries; got 31"),
    "y short": ({"y": np.ones(1)}, ValueError, "y must have 30 entries; got 1"),
    "y 2-D": ({"y": np.ones((30, 2))}, ValueError, r"y must be 1-D, \(30,\); got shape \(30, 2\)"),
    "y 0-D": ({"y": 1.0}, ValueError, "y must"),
    "y NaN": ({"y": put(Y, 7, np.nan)}, ValueError, "y contains NaN, first at position 7"),
    "y inf": ({"y": put(Y, 7, np.inf)}, ValueError, "y contains infinity, first at position 7"),
    "y text": ({"y": ["a"] * 30}, TypeError, "y must be numeric"),
    "y None": ({"y": None}, (TypeError, ValueError), "y must"),
    "y complex": ({"y": Y + 1j}, ValueError, "y must be real; got dtype complex128"),
    "y dates": ({"y": np.full(30, np.datetime64("2020-01-01"))}, TypeError, "y must be numeric"),
    "y sparse": ({"y": sp.csr_array(Y[:, None])}, TypeError, "y must be dense"),
    "y huge": ({"y": 1e200 * Y}, ValueError, "y "),
    "y masked": ({"y": np.ma.masked_greater(Y, 8)}, ValueError, "y .*masked"),
    "weights long": ({"sample_weight": np.ones(31)}, ValueError, "sample_weight must have 30 entries; got 31"),
    "weights negative": ({"sample_weight": put(ONE, 4, -2)}, ValueError, "sample_weight must not be negative; got -2"),
    "weights zero": ({"sample_weight": np.zeros(30)}, ValueError, "sample_weight must not be all zero"),
    "weights NaN": ({"sample_weight": put(ONE, 4, np.nan)}, ValueError, "sample_weight contains NaN"),
    "weights inf": ({"sample_weight": put(ONE, 4, np.inf)}, ValueError, "sample_weight contains infinity"),
    "weights text": ({"sample_weight": "balanced"}, (TypeError, ValueError), "sample_weight must be"),
    "offset long": ({"offset": np.ones(31)}, ValueError, "offset must have 30 entries; got 31"),
    "offset NaN": ({"offset": put(ONE, 0, np.nan)}, ValueError, "offset contains NaN"),
    "offset scalar": ({"offset": 2.0}, ValueError, "offset must"),
    "ratio high": ({"l1_ratio": 1.5}, ValueError, r"l1_ratio must lie in \[0, 1\]; got 1.5"),
    "ratio negative": ({"l1_ratio": -0.1}, ValueError, r"l1_ratio must lie in \[0, 1\]; got -0.1"),
    "ratio NaN": ({"l1_ratio": np.nan}, ValueError, r"l1_ratio must lie in \[0, 1\]; got nan"),
    "ratio text": ({"l1_ratio": "half"}, TypeError, "l1_ratio must be a number; got 'half'"),
    "ratio bool": ({"l1_ratio": True}, TypeError, "l1_ratio must be a number; got True"),
    "factors long": ({"penalty_factors": np.ones(5)}, ValueError, "penalty_factors must have 4 entries; got 5"),
    "factors negative": ({"penalty_factors": [1, -1, 1, 1]}, ValueError, r"penalty_factors .*\[0, inf\].* got -1.0"),
    "factors NaN": ({"penalty_factors": [1, 1, np.nan, 1]}, ValueError, "penalty_factors must lie .* got nan .* 2"),
    "factors text": ({"penalty_factors": ["a"] * 4}, TypeError, "penalty_factors must be numeric"),
    "bounds one": ({"bounds": 3.0}, TypeError, r"bounds must be a pair \(lower, upper\).*got 3.0"),
    "bounds three": ({"bounds": (0, 1, 2)}, TypeError, "bounds must be a pair"),
    "bounds above": ({"bounds": (0.5, 1)}, ValueError, r"bounds must enclose 0; got \[0.5, 1\] for column 0"),
    "bounds below": ({"bounds": (-1, [0, 0, -0.5, 1])}, ValueError, r"bounds must .*\[-1, -0.5\] for column 2"),
    "bounds swapped": ({"bounds": (1, -1)}, ValueError, "bounds must enclose 0"),
    "bounds NaN": ({"bounds": (np.nan, 1)}, ValueError, "bounds must not contain NaN"),
    "bounds long": ({"bounds": (np.zeros(5), 1)}, ValueError, r"bounds\[0\] must have 4 entries; got 5"),
    "bounds text": ({"bounds": ("low", "high")}, TypeError, "bounds.* must be numeric"),
    "family": ({"family": "gauss"}, ValueError, "family must be one of 'gaussian'.*got 'gauss'"),
}  # fmt: skip

FITS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "alphas negative": ({"alphas": [1, -1]}, ValueError, "alphas must be finite and not negative; got -1"),
    "alphas NaN": ({"alphas": [np.nan]}, ValueError, "alphas must be finite and not negative; got nan"),
    "alphas inf": ({"alphas": [np.inf]}, ValueError, "alphas must be finite and not negative; got inf"),
    "alphas empty": ({"alphas": []}, ValueError, "alphas must be a non-empty 1-D sequence"),
    "alphas 2-D": ({"alphas": [[1.0]]}, ValueError, r"alphas must be a non-empty 1-D sequence; got shape \(1, 1\)"),
    "alphas text": ({"alphas": ["a"]}, TypeError, "alphas must be numbers; got"),
    "n_alphas zero": ({"n_alphas": 0}, ValueError, "n_alphas must be at least 1; got 0"),
    "n_alphas float": ({"n_alphas": 3.5}, TypeError, "n_alphas must be an integer; got 3.5"),
    "eps zero": ({"eps": 0}, ValueError, r"eps must lie in \(0, 1\]; got 0"),
    "eps large": ({"eps": 2.0}, ValueError, r"eps must lie in \(0, 1\]; got 2.0"),
    "tol negative": ({"tol": -1e-9}, ValueError, "tol must lie in .*got -1e-09"),
    "tol text": ({"tol": "tight"}, TypeError, "tol must be a number; got 'tight'"),
    "max_iter zero": ({"max_iter": 0}, ValueError, "max_iter must be at least 1; got 0"),
    "max_iter float": ({"max_iter": 1e4}, TypeError, "max_iter must be an integer; got 10000.0"),
    "n_jobs float": ({"n_jobs": 1.5}, TypeError, "n_jobs must be an integer; got 1.5"),
    "n_jobs low": ({"n_jobs": -2}, ValueError, "n_jobs must be at least -1; got -2"),
    "n_jobs zero": ({"n_jobs": 0}, ValueError, "n_jobs must be .*got 0"),
}

CROSS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "cv one": ({"cv": 1}, ValueError, "cv must be at least 2; got 1"),
    "cv many": ({"cv": 31}, ValueError, "cv=31 folds need at least as many rows; got 30"),
    "cv float": ({"cv": 2.5}, TypeError, "cv must be an int, a splitter or an iterable.*got 2.5"),
    "cv bool": ({"cv": True}, TypeError, "cv must be an int.*got True"),
    "cv text": ({"cv": "loo"}, TypeError, "cv must be an int.*got 'loo'"),
    "cv one fold": ({"cv": [(range(20), range(20, 30))]}, ValueError, "cv must give at least two folds; got 1"),
    "cv no pairs": ({"cv": [1, 2]}, (TypeError, ValueError), "cv"),
    "cv rows": ({"cv": [(range(20), [30]), (range(9), [9])]}, ValueError, "cv: test must be 1-D row numbers below 30"),
    "cv empty test": ({"cv": [(range(20), NONE), (range(9), [9])]}, ValueError, "fold 0 has no row .*test"),
    "cv empty train": ({"cv": [(range(9), [9]), (NONE, [9])]}, ValueError, "fold 1 has no row .*train"),
    "cv float rows": ({"cv": [([0.5], [1]), ([1], [0])]}, ValueError, "cv: train must be 1-D row numbers"),
    "cv mask": ({"cv": [(np.ones(5, dtype=bool), [1]), ([1], [0])]}, ValueError, "cv: train"),
    "groups": ({"groups": np.zeros(29), "cv": 2}, ValueError, r"groups must have shape \(30,\); got \(29,\)"),
    "few groups": ({"groups": np.arange(30) % 2, "cv": 3}, ValueError, "cv=3 folds need .* many groups; got 2"),
    "scoring": ({"scoring": "none such"}, ValueError, "none such"),
    "ratios empty": ({"l1_ratio": []}, ValueError, "l1_ratio must be a number or a non-empty sequence"),
    "ratios high": ({"l1_ratio": [0.5, 1.5]}, ValueError, r"l1_ratio must lie in \[0, 1\]; got 1.5"),
    "n_jobs zero": ({"n_jobs": 0}, ValueError, "n_jobs must be -1 or at least 1; got 0"),
    "random_state": ({"random_state": "x"}, (TypeError, ValueError), "random_state|to seed"),
}


@pytest.mark.parametrize("name", COMMON)
@pytest.mark.parametrize("call", [fit_path, alpha_max, fit_cv, certify], ids=lambda f: f.__name__)
def test_common_arguments(call: Any, name: str) -> None:
    arguments, error, message = COMMON[name]
    arguments = {"y": Y, **arguments}
    extra = {"coef": np.zeros(4), "alpha": 1.0} if call is certify else {}
    with pytest.raises(error, match=message):
        call(X, **arguments, **extra)


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("call", [fit_path, fit_cv], ids=lambda f: f.__name__)
def test_arguments_of_fits(call: Any, name: str) -> None:
    arguments, error, message = FITS[name]
    with pytest.raises(error, match=message):
        call(X, Y, **arguments)


@pytest.mark.parametrize("name", CROSS)
def test_arguments_of_cross_validation(name: str) -> None:
    arguments, error, message = CROSS[name]
    with pytest.raises(error, match=message):
        fit_cv(X, Y, **arguments)


CERTIFY: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "coef long": ({"coef": np.zeros(5)}, ValueError, "coef must have 4 entries; got 5"),
    "coef NaN": ({"coef": [0, np.nan, 0, 0]}, ValueError, "coef contains NaN"),
    "alpha zero": ({"alpha": 0}, ValueError, r"alpha must lie in \(0, inf\]; got 0"),
    "alpha negative": ({"alpha": -1.0}, ValueError, "alpha must lie in .*got -1.0"),
    "alpha inf": ({"alpha": np.inf}, ValueError, "alpha must "),
    "alpha NaN": ({"alpha": np.nan}, ValueError, "alpha must lie in .*got nan"),
    "alpha text": ({"alpha": "a"}, TypeError, "alpha must be a number"),
    "intercept NaN": ({"intercept": np.nan}, ValueError, "intercept must .*nan"),
    "intercept text": ({"intercept": "a"}, TypeError, "intercept must be a number"),
    "intercept": ({"intercept": 1.0, "fit_intercept": False}, ValueError, "intercept must be 0 with fit_intercept"),
    "outside": ({"coef": [0, 2.0, 0, 0], "bounds": (-1, 1)}, ValueError, r"coef\[1\]=2 is outside bounds \[-1, 1\]"),
    "excluded": ({"coef": [0, 0, 2.0, 0], "penalty_factors": [1, 1, np.inf, 1]}, ValueError, r"coef\[2\] must be 0"),
}


@pytest.mark.parametrize("name", CERTIFY)
def test_arguments_of_certify(name: str) -> None:
    arguments, error, message = CERTIFY[name]
    with pytest.raises(error, match=message):
        certify(X, Y, **({"coef": np.zeros(4), "alpha": 1.0} | arguments))


def test_unknown_arguments() -> None:
    for call in (fit_path, fit_cv, alpha_max):
        with pytest.raises(TypeError, match="lambda_"):
            call(X, Y, lambda_=1.0)


@pytest.mark.filterwarnings("ignore:the best alpha")  # of a short grid the last is often best: not the question here
def test_no_input_is_written_to() -> None:
    given: dict[str, Any] = {
        "X": X.copy(), "y": Y.copy(), "sample_weight": ONE * 2, "offset": np.sin(Y), "alphas": np.array([0.1, 0.5]),
        "penalty_factors": np.array([1.0, 0.5, 2, np.inf]), "bounds": (np.full(4, -1.0), np.full(4, 1.0)),
    }  # fmt: skip
    before = {name: np.array(x) for name, x in given.items()}
    for x in [*given.values(), *given["bounds"]]:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    regfast.fit_path(**given)
    regfast.fit_cv(**given, cv=3)
    for name, x in before.items():
        np.testing.assert_array_equal(given[name], x)
