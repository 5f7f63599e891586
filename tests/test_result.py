"""Path and CVPath: saving, predicting, selecting, by direct formulas."""

import json
from dataclasses import fields
from pathlib import Path as File
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data
from scipy.special import comb

import regfast
from regfast import fit_cv, fit_path

X, Y, W = make_data(n=50, p=12)
OFFSET = np.sin(np.arange(50.0))
NAMES = [f"f{j}" for j in range(12)]
FRAME = pd.DataFrame(X, columns=NAMES)


def same_bits(a: Any, b: Any) -> None:
    """Two results agree in every field, bit for bit and type for type."""
    assert type(a) is type(b)
    for field in fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, regfast.Path):
            same_bits(x, y)
        elif sp.issparse(x):
            assert x.shape == y.shape
            for part in ("data", "indices", "indptr"):
                assert getattr(x, part).dtype == getattr(y, part).dtype
                assert getattr(x, part).tobytes() == getattr(y, part).tobytes()
        elif isinstance(x, np.ndarray):
            assert (x.dtype, x.shape) == (y.dtype, y.shape), field.name
            assert x.tolist() == y.tolist() or x.tobytes() == y.tobytes()
        elif isinstance(x, tuple):
            assert len(x) == len(y)
            for u, v in zip(x, y, strict=True):
                assert_array_equal(u, v)
        else:
            assert type(x) is type(y), field.name
            assert x == y, field.name


FITS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights and offset": {"sample_weight": W, "offset": OFFSET},
    "factors": {"penalty_factors": np.where(np.arange(12) == 3, np.inf, np.linspace(0, 2, 12))},
    "bounds": {"bounds": (0, np.where(np.arange(12) % 2, np.inf, 0.5))},
    "zero": {"alphas": [1.0, 0.0]},
    "elastic": {"l1_ratio": 0.3, "standardize": False, "fit_intercept": False, "tol": 1e-9},
}


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("options", list(FITS.values()), ids=list(FITS))
def test_save_and_load_a_path(options: dict[str, Any], names: bool, tmp_path: File) -> None:
    path = fit_path(FRAME if names else X, Y, **options)
    path.save(tmp_path / "model.json")
    loaded = regfast.load(str(tmp_path / "model.json"))
    same_bits(path, loaded)
    offset = OFFSET if path.has_offset else None
    assert_array_equal(path.predict(X, offset=offset), loaded.predict(X, offset=offset))


@pytest.mark.filterwarnings("ignore:the best alpha")  # of a short grid the last is often best: not the question here
@pytest.mark.parametrize("options", list(FITS.values()), ids=list(FITS))
def test_save_and_load_a_cross_validation(options: dict[str, Any], tmp_path: File) -> None:
    folds = [(np.arange(30), np.arange(30, 40)), (np.arange(10, 50), np.arange(10))]  # rows 40 to 49: NaN
    cv = fit_cv(FRAME, Y, cv=folds, **options)
    assert np.isnan(cv.oof_predictions[40:]).all()
    cv.save(tmp_path / "model.json")
    loaded = regfast.load(tmp_path / "model.json")
    same_bits(cv, loaded)
    assert repr(cv) == repr(loaded)


def test_a_saved_file_is_plain_json_that_says_what_it_holds(tmp_path: File) -> None:
    fit_cv(FRAME, Y, cv=5).save(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["regfast"] == regfast.__version__
    assert content["type"] == "CVPath"
    assert set(content["models"]) == {"min", "1se"}
    assert set(content["models"]["min"]["coefficients"]) <= set(NAMES)


def test_extreme_numbers_survive_saving(tmp_path: File) -> None:
    path = fit_path(X * 1e100, Y * 1e-100, n_alphas=5)
    path.save(tmp_path / "m.json")
    same_bits(path, regfast.load(tmp_path / "m.json"))


@pytest.mark.parametrize("content", [
    "", "not json", "[1, 2]", "{}", '{"type": "Model"}', '{"type": "Path"}', '{"type": "CVPath", "cv": {}}',
    '{"type": "Path", "path": {"alphas": [1]}}', '{"type": "Path", "path": 3}',
])  # fmt: skip
def test_what_load_refuses(content: str, tmp_path: File) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(ValueError, match=r"bad.json is not a regfast model"):
        regfast.load(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError):
        regfast.load(tmp_path / "none.json")


# ---- predict


@pytest.mark.parametrize("storage", [
    np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array, sp.coo_matrix, lambda A: pd.DataFrame(A, columns=NAMES),
    lambda A: pl.DataFrame(A, schema=NAMES), lambda A: pa.table({n: A[:, j] for j, n in enumerate(NAMES)}),
    lambda A: A.tolist(), lambda A: A.astype(np.float32).astype(object),
], ids=["C", "F", "CSR", "CSC", "COO matrix", "pandas", "polars", "arrow", "list", "object"])  # fmt: skip
def test_predict(storage: Any) -> None:
    path = fit_path(FRAME, Y, n_alphas=7, early_stop=False)
    A = X[:9]
    want = A @ path.coefs.toarray() + path.intercepts
    assert_allclose(path.predict(storage(A)), want, rtol=1e-12)
    assert path.predict(storage(A)).shape == (9, 7)
    for alpha in (path.alphas[3], 0.5 * (path.alphas[3] + path.alphas[4]), 2 * path.alpha_max):
        got = path.predict(storage(A), alpha)
        assert got.shape == (9,)
        assert_allclose(got, A @ path.coef_at(alpha) + path.intercept_at(alpha), rtol=1e-12)
    assert_array_equal(path.predict(storage(A), kind="link"), path.predict(storage(A)))


def test_names_must_match() -> None:
    path = fit_path(FRAME, Y, alphas=[0.5])
    assert_array_equal(path.feature_names_in_, NAMES)
    with pytest.raises(ValueError, match=r"feature names of the fit.*column 0 is 'f11', it was 'f0'"):
        path.predict(FRAME[NAMES[::-1]])
    with pytest.raises(ValueError, match=r"column 4 is 'other', it was 'f4'"):
        path.predict(FRAME.rename(columns={"f4": "other"}))
    with pytest.raises(ValueError, match="X has 11 features, but the fit had 12"):
        path.predict(FRAME[NAMES[1:]])
    with pytest.raises(ValueError, match="X has 13 features, but the fit had 12"):
        path.predict(np.ones((3, 13)))
    unnamed = fit_path(X, Y, alphas=[0.5])
    assert unnamed.feature_names_in_ is None
    assert_allclose(unnamed.predict(FRAME), path.predict(X), rtol=1e-13)  # (BLAS sums C and F order differently)
    assert list(unnamed.names) == [f"x{j}" for j in range(12)]


def test_offsets_are_wanted_if_and_only_if_the_fit_had_one() -> None:
    with_one, without = fit_path(X, Y, offset=OFFSET, alphas=[0.5]), fit_path(X, Y, alphas=[0.5])
    for alpha in (None, 0.5):
        with pytest.raises(ValueError, match=r"fitted with an offset: predict needs offset="):
            with_one.predict(X, alpha)
        with pytest.raises(ValueError, match="offset given, but this path was fitted without one"):
            without.predict(X, alpha, offset=OFFSET)
        with pytest.raises(ValueError, match="offset must have 50 entries; got 49"):
            with_one.predict(X, alpha, offset=OFFSET[:-1])
    plain = X @ with_one.coefs.toarray()[:, 0] + with_one.intercepts[0]
    assert_allclose(with_one.predict(X, 0.5, offset=OFFSET), plain + OFFSET, rtol=1e-13)
    assert_allclose(with_one.predict(X, offset=OFFSET)[:, 0], plain + OFFSET, rtol=1e-13)
    with pytest.raises(ValueError, match=r"fitted with an offset: exact=True needs offset="):
        with_one.coef_at(0.5, exact=True, X=X, y=Y)
    cv = fit_cv(X, Y, offset=OFFSET, cv=4)
    with pytest.raises(ValueError, match="predict needs offset="):
        cv.predict(X)
    assert_array_equal(cv.predict(X, offset=OFFSET), cv.path.predict(X, cv.alpha_min, offset=OFFSET))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"kind": "class"}, "kind must be 'response' or 'link'.*got 'class'"), ({"alpha": np.nan}, "alpha must be finite"),
    ({"alpha": -1.0}, "alpha must be finite and not"), ({"alpha": 1e-9}, "below the path, which ends at 0.1"),
    ({"alpha": 0.7}, "above the path, which begins at 0.5"), ({"X": [1.0]}, "X must be 2-D"),
])  # fmt: skip
def test_what_predict_refuses(arguments: dict[str, Any], message: str) -> None:
    path = fit_path(X, Y, alphas=[0.5, 0.1])
    with pytest.raises(ValueError, match=message):
        path.predict(**({"X": X} | arguments))


def test_what_coef_at_refuses() -> None:
    path = fit_path(X, Y, alphas=[0.5, 0.1])
    for method in (path.coef_at, path.intercept_at):
        for alpha, message in ((0.7, "above the path"), (0.05, "below the path"), (-1, "not neg"), (np.inf, "finite")):
            with pytest.raises(ValueError, match=message):
                method(alpha)
        with pytest.raises(ValueError, match=r"exact=True solves anew: give X and y"):
            method(0.3, exact=True)


def test_exact_uses_what_the_fit_used() -> None:
    options = {"sample_weight": W, "l1_ratio": 0.5, "penalty_factors": np.linspace(0.5, 2, 12), "bounds": (-1, 1)}
    path = fit_path(X, Y, alphas=[1.0, 0.1], tol=1e-12, **options)
    want = fit_path(X, Y, alphas=[0.3], tol=1e-12, **options)
    assert_array_equal(path.coef_at(0.3, exact=True, X=X, y=Y, sample_weight=W), want.coefs.toarray()[:, 0])
    assert path.intercept_at(0.3, exact=True, X=X, y=Y, sample_weight=W) == want.intercepts[0]


# ---- select


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", [None, W], ids=["even", "weights"])
def test_criteria_by_their_formulas(weights: Any, fit_intercept: bool) -> None:
    path = fit_path(X, Y, sample_weight=weights, fit_intercept=fit_intercept)
    w = np.full(50, 1 / 50) if weights is None else W / W.sum()
    n, k = int((w > 0).sum()), np.array((path.coefs.toarray() != 0).sum(axis=0))
    mse = w @ (Y[:, None] - path.predict(X)) ** 2
    df = k + fit_intercept
    aic = n * np.log(mse) + 2 * df
    bic = n * np.log(mse) + np.log(n) * df
    ebic = bic + 2 * np.log([comb(12, j, exact=True) for j in k.tolist()])
    assert path.select("aic") == path.alphas[aic.argmin()]
    assert path.select("bic") == path.alphas[bic.argmin()]
    assert path.select("ebic") == path.alphas[ebic.argmin()]
    for most in (0, 1, 3, 12):
        assert path.select(most) == path.alphas[k <= most].min()
    assert path.select(np.int64(3)) == path.select(3)
    null = w @ (Y - (w @ Y if fit_intercept else 0)) ** 2
    assert path.null_deviance == pytest.approx(null, rel=1e-12)
    assert_allclose(path.deviance_ratio, 1 - mse / null, atol=1e-12)


def test_what_select_refuses() -> None:
    path = fit_path(X, Y, alphas=[0.5, 0.1])
    for bad in ("cp", True, None, 2.5):
        with pytest.raises((TypeError, ValueError), match="criterion must be one of 'alo', 'aic', 'bic', 'ebic'"):
            path.select(bad)
    with pytest.raises(ValueError, match="no alpha of the path has at most -1 features"):
        path.select(-1)
    wide = fit_path(X[:5], Y[:5], alphas=[1e-6])
    with pytest.raises(ValueError, match="every model of the path has at least 5 parameters"):
        wide.select("bic")


# ---- shown


def test_to_frame() -> None:
    path = fit_path(FRAME, Y, alphas=[2.0, 0.5, 0.1])
    frame = path.to_frame()
    used = [NAMES[j] for j in np.flatnonzero(path.coefs.toarray().any(axis=1))]
    assert list(frame.columns) == ["alpha", "n_nonzero", "deviance_ratio", "gap", "status", "intercept", *used]
    assert_array_equal(frame["alpha"], path.alphas)
    assert_array_equal(frame["gap"], path.gaps)
    for name in used:
        assert_array_equal(frame[name], path.coefs.toarray()[NAMES.index(name)])


def test_repr_and_length() -> None:
    path = fit_path(X, Y, alphas=[2.0, 0.5])
    counts = f"{path.n_nonzero[0]} to {path.n_nonzero[1]}"
    assert repr(path).startswith(f"Path(2 alphas from 2 to 0.5, 12 features, {counts} non-zero, complete")
    assert len(path) == 2
    cv = fit_cv(X, Y, cv=4)
    held = [np.count_nonzero(cv.coef(rule)) for rule in ("min", "1se")]
    assert repr(cv) == (f"CVPath(4 folds, alpha_min={cv.alpha_min:.4g} ({held[0]} features), "
                        f"alpha_1se={cv.alpha_1se:.4g} ({held[1]} features), l1_ratio=1)")


def test_results_do_not_hold_the_data() -> None:
    for result in (fit_path(X, Y, alphas=[0.5]), fit_cv(X, Y, cv=3)):
        held = [getattr(result, field.name) for field in fields(result)]
        assert not any(isinstance(x, np.ndarray) and (x.shape == X.shape or np.may_share_memory(x, X)) for x in held)
        frozen: Any = result
        with pytest.raises(AttributeError):
            frozen.alphas = None
