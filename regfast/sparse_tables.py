"""Sparse tables on disk to arrays: svmlight, and ``.npz`` as `scipy.sparse.save_npz` writes it.

They stay sparse from the first byte to the solver.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

Vector: TypeAlias = npt.NDArray[np.float64]
Names: TypeAlias = npt.NDArray[np.str_]
Column: TypeAlias = npt.NDArray[Any]
LABELS = "Ufiub"
"""Kinds of NumPy's types that labels may have."""


def read_svmlight(file: Path) -> tuple[Any, Vector]:
    """X and y. Columns keep their numbers (``zero_based=True``): two files of one problem are never out of step."""
    from sklearn.datasets import load_svmlight_file

    try:
        X, y = load_svmlight_file(os.fspath(file), zero_based=True)
    except (ValueError, IndexError) as err:
        raise ValueError(f"{file.name}: not readable as svmlight (want 'y column:value ...'): {err}") from err
    return sparse.csr_array(X), np.asarray(y, dtype=np.float64)


def read_npz(
    file: Path, wanted: Mapping[str, str | None], labels: bool = False
) -> tuple[Any, Names | None, dict[str, Column | None]]:
    """X, the names of its columns, and vectors by argument.

    Parameters
    ----------
    file : Path
    wanted : {argument: name or None}
        A vector of the archive or the number of a column, which then leaves X. "target" is ``y`` by default.
    labels : bool
        The target may be text, and keeps its type.
    """
    inner = ("data", "indices", "indptr", "row", "col", "offsets", "shape", "format", "_is_array")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            extra = {key: archive[key] for key in archive.files if key not in inner}
            stream.seek(0)
            loaded: Any = sparse.load_npz(stream)
        X: Any = sparse.csr_array(loaded, dtype=np.float64)
        X.check_format(full_check=True)  # no index out of range may reach compiled code
    # what NumPy, zipfile and SciPy raise for a file that is not theirs; SciPy's word for a format it does not know is
    # NotImplementedError
    except (ValueError, KeyError, AttributeError, EOFError, NotImplementedError, BadZipFile) as err:
        raise ValueError(f"{file.name}: not readable as scipy.sparse.save_npz writes it: {err}") from err
    if np.isnan(X.data).any():
        raise ValueError(f"{file.name}: {int(np.isnan(X.data).sum())} missing values (NaN); want none")
    names = _names(file, extra.get("feature_names"), X.shape[1])
    vectors: dict[str, Column | None] = {}
    taken = set()
    for argument, key in wanted.items():
        if argument == "target" and key is None and "y" in extra:
            key = "y"
        text = labels and argument == "target"
        vectors[argument], j = _vector(file, X, extra, argument, key, text)
        taken.add(j)
    if taken := taken - {None}:
        kept = [j for j in range(X.shape[1]) if j not in taken]
        X, names = X[:, kept], None if names is None else names[kept]
    return X, names, vectors


def _vector(
    file: Path, X: Any, extra: dict[str, Column], argument: str, key: str | None, labels: bool
) -> tuple[Column | None, int | None]:
    """A vector of the archive by its name, or a column of X by its number and that number."""
    if key is None:
        return None, None
    if key in extra:
        vector = extra[key]
        if vector.shape != (X.shape[0],) or vector.dtype.kind not in (LABELS if labels else "fiub"):
            raise ValueError(
                f"{argument}: {key!r} in {file.name} is {vector.dtype} of shape {vector.shape}; "
                f"want {X.shape[0]} {'labels' if labels else 'numbers'}, one a row"
            )
        if (vector.dtype.kind == "f" and np.isnan(vector).any()) or (vector.dtype.kind == "U" and (vector == "").any()):
            raise ValueError(f"{argument}: {key!r} of {file.name} has missing values (NaN); want none")
        return vector if labels else vector.astype(np.float64), None
    if key.isascii() and key.isdigit() and int(key) < X.shape[1]:
        return X[:, [int(key)]].toarray()[:, 0], int(key)
    raise ValueError(
        f"{argument}: got {key!r}; {file.name} holds the vectors {sorted(extra) or 'none'} and a matrix "
        f"with columns 0 to {X.shape[1] - 1}; want one of these"
    )


def _names(file: Path, names: Column | None, p: int) -> Names | None:
    if names is None:
        return None
    if names.shape != (p,) or names.dtype.kind != "U":
        raise ValueError(f"{file.name}: feature_names is {names.dtype} of shape {names.shape}; want {p} strings")
    return names
