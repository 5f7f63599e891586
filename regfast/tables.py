"""Tables on disk to the arrays that a fit takes: CSV and TSV, Parquet, svmlight, sparse ``.npz``.

Nothing is guessed, filled in or encoded: text and missing values are errors that name the column.
Sparse files stay sparse from the first byte to the solver.
"""

from __future__ import annotations

import importlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

Vector: TypeAlias = npt.NDArray[np.float64]
Names: TypeAlias = npt.NDArray[np.str_]

FORMATS = {
    "csv": (".csv", ".tsv", ".tab"),
    "parquet": (".parquet", ".pq"),
    "svmlight": (".svm", ".svmlight", ".libsvm"),
    "npz": (".npz",),
}
PACKED = (".gz", ".bz2")
_BLOCK = 1 << 24  # bytes; a row must fit into one block, and wide tables have rows of megabytes


@dataclass(frozen=True)
class Table:
    """What a file holds, ready for `fit_path` and `fit_cv`.

    Attributes
    ----------
    X : (n, p) float64 array in column order, or csr_array
        The columns that are neither target nor weights.
    y : (n,) float64 array or None
        The target; None when none was asked for and the file has none of its own.
    feature_names : (p,) array of str or None
        The header; None for files that number their columns.
    weights : (n,) float64 array or None
        The column named by `weights`.
    source : str
        The name of the file, for messages.
    """

    X: Any
    y: Vector | None
    feature_names: Names | None
    weights: Vector | None
    source: str


def require(module: str, extra: str) -> Any:
    """Import an optional module, or say which extra of regfast brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as err:
        package = module.partition(".")[0]
        raise ImportError(f"{package} is not installed; pip install 'regfast[{extra}]' brings it") from err


def read_table(path: str | os.PathLike[str], target: str | None = None, *, weights: str | None = None) -> Table:
    """Read a table for a fit.

    Parameters
    ----------
    path : str or path
        The suffix says the format: ``.csv``, ``.tsv``, ``.tab`` (first line: names), ``.parquet``, ``.pq``,
        ``.svm``, ``.svmlight``, ``.libsvm``, or ``.npz`` as `scipy.sparse.save_npz` writes it; text may be
        packed (``.gz``, ``.bz2``).
    target : str, optional
        CSV, TSV, Parquet: the name of the target's column. svmlight: none, the target is the first field.
        ``.npz``: the name of a further vector in the archive, or else the number of a column of the matrix
        (counted from 0), which then leaves X; without `target`, a vector called ``y`` if there is one.
    weights : str, optional
        The same for sample weights (not for svmlight, which has no place for them).

    Returns
    -------
    Table
        Booleans arrive as 0 and 1. Columns of svmlight keep the number they have in the file; in a file that
        counts from 1, column 0 is empty. Strings called ``feature_names`` in a ``.npz`` name its columns.

    Raises
    ------
    ValueError
        An unknown suffix, an unreadable file, an unknown or repeated column, a missing value, no rows.
    TypeError
        A column that is not numeric. ImportError, OSError: as their names say.
    """
    file, kind = Path(path), _kind(Path(path))
    if kind == "svmlight":
        for argument, value in (("target", target), ("weights", weights)):
            if value is not None:
                raise ValueError(
                    f"{argument}: got {value!r}, but {file.name} is svmlight, where each line starts "
                    "with its target and there are no weights; leave it out"
                )
        X, y = _read_svmlight(file)
        table = Table(X, y, None, None, file.name)
    elif kind == "npz":
        table = _read_npz(file, target, weights)
    else:
        table = _read_named(file, target, weights)
    if table.X.shape[0] == 0:
        raise ValueError(f"{file.name}: the table has no rows; want at least one")
    return table


def read_features(path: str | os.PathLike[str], names: Sequence[str] | None, n_features: int) -> tuple[Any, list[str]]:
    """Read the columns that a model wants, in the order in which it wants them.

    Parameters
    ----------
    path : str or path
        As for `read_table`.
    names : sequence of str or None
        The model's feature names; columns are then matched by name wherever the file has names too.
    n_features : int
        p, the number of columns of the model.

    Returns
    -------
    X : (n, p) float64 array or csr_array
    ignored : list of str
        Columns of the file that the model does not know. They may hold anything.

    Raises
    ------
    ValueError
        Columns of the model that the file lacks; a width other than p where there are no names to match; and
        all that `read_table` raises. A column that a svmlight file does not reach is not missing: it is zero.
    """
    file, kind = Path(path), _kind(Path(path))
    if kind in ("csv", "parquet"):
        arrow = _read_arrow(file)
        wanted = arrow.column_names if names is None else list(names)
        positions = _positions(arrow.column_names, wanted, file)
        _check_width(file, len(wanted), n_features)
        taken = set(wanted)
        return _dense(arrow, positions, file), [name for name in arrow.column_names if name not in taken]
    if kind == "svmlight":
        if names is not None:
            raise ValueError(
                f"{file.name}: svmlight numbers its columns and the model names its own; want CSV or Parquet"
            )
        X, _ = _read_svmlight(file)
        ignored = [str(j) for j in range(n_features, X.shape[1])]
        X.resize((X.shape[0], n_features))
        return X, ignored
    table = _read_npz(file, None, None)
    if names is None or table.feature_names is None:
        _check_width(file, table.X.shape[1], n_features)
        return table.X, []
    positions = _positions(table.feature_names.tolist(), names, file)
    taken = set(names)
    return table.X[:, positions], [name for name in table.feature_names.tolist() if name not in taken]


def _kind(file: Path) -> str:
    """Which reader an existing file wants."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: {'this is a folder' if file.is_dir() else 'no such file'}")
    suffix = _suffix(file)
    for kind, suffixes in FORMATS.items():
        if suffix in suffixes:
            return kind
    known = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes)
    raise ValueError(f"{file.name}: the suffix names no format that can be read; want one of {known}")


def _suffix(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _check_width(file: Path, got: int, want: int) -> None:
    if got != want:
        raise ValueError(f"{file.name}: got {got} columns, the model wants {want}")


def listed(items: Sequence[str], most: int = 8) -> str:
    """The first few of a list, for a message."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _quoted(names: Sequence[str]) -> str:
    return listed([repr(name) for name in names])


def _positions(have: Sequence[str], want: Sequence[str], file: Path) -> list[int]:
    """Where each wanted column stands; missing and repeated names are errors."""
    where = {name: j for j, name in enumerate(have)}
    if missing := [name for name in want if name not in where]:
        raise ValueError(f"{file.name}: no column called {_quoted(missing)}; it has {_quoted(have)}")
    if len(where) < len(have):
        twice = {name for name, count in Counter(have).items() if count > 1}
        if clash := sorted(twice.intersection(want)):
            raise ValueError(f"{file.name}: more than one column is called {_quoted(clash)}; names must differ")
    return [where[name] for name in want]


def _read_named(file: Path, target: str | None, weights: str | None) -> Table:
    arrow = _read_arrow(file)
    have = arrow.column_names
    special = [name for name in (target, weights) if name is not None]
    for argument, name in (("target", target), ("weights", weights)):
        if name is not None and name not in have:
            raise ValueError(f"{argument}: {file.name} has no column called {name!r}; it has {_quoted(have)}")
    features = [name for name in have if name not in special]
    X = _dense(arrow, _positions(have, features, file), file)
    vectors = {name: _dense(arrow, _positions(have, [name], file), file)[:, 0] for name in special}
    return Table(
        X,
        None if target is None else vectors[target],
        np.array(features, dtype=np.str_),
        None if weights is None else vectors[weights],
        file.name,
    )


def _read_arrow(file: Path) -> Any:
    """A pyarrow Table. pyarrow and not pandas: its CSV reader rounds every number correctly by default."""
    pyarrow = require("pyarrow", "cli")
    try:
        if _kind(file) == "parquet":
            arrow = require("pyarrow.parquet", "cli").read_table(file)
        else:
            csv = require("pyarrow.csv", "cli")
            parse = csv.ParseOptions(delimiter="," if _suffix(file) == ".csv" else "\t")
            arrow = csv.read_csv(file, csv.ReadOptions(block_size=_BLOCK), parse)
        # pandas keeps its row labels under these names; they are not measurements
        return arrow.drop_columns([n for n in arrow.column_names if re.fullmatch(r"__index_level_\d+__", n)])
    except (pyarrow.ArrowException, UnicodeDecodeError) as err:
        if isinstance(err, OSError):
            raise
        raise ValueError(f"{file.name}: not readable as {_kind(file)}: {str(err).splitlines()[0]}") from err


def _dense(arrow: Any, positions: Sequence[int], file: Path) -> Vector:
    """Columns as one float64 array in column order; text and gaps are errors that name the columns."""
    pyarrow = require("pyarrow", "cli")
    kinds = pyarrow.types
    numeric = (kinds.is_boolean, kinds.is_integer, kinds.is_floating, kinds.is_decimal, kinds.is_null)
    names, columns = arrow.column_names, arrow.columns  # lists that pyarrow builds anew at each access
    if foreign := [j for j in positions if not any(test(columns[j].type) for test in numeric)]:
        told = [f"{names[j]!r} (e.g. {str(_odd_one(columns[j]))!r})" for j in foreign]
        raise TypeError(
            f"{file.name}: columns that are not numeric: {listed(told)}; want numbers or booleans: "
            "encode these columns (one 0/1 column per category) or drop them"
        )
    X = np.empty((arrow.num_rows, len(positions)), order="F")
    for k, j in enumerate(positions):
        X[:, k] = columns[j].cast(pyarrow.float64(), safe=False).to_numpy()
    gaps = [(names[j], int(np.isnan(X[:, k]).sum())) for k, j in enumerate(positions)]
    if told := [f"{name!r} ({count} of {arrow.num_rows})" for name, count in gaps if count]:
        raise ValueError(f"{file.name}: missing values in {listed(told)}; want none: fill them in or drop them")
    return X


def _odd_one(column: Any) -> object:
    """The first entry that is no number: in a column of numbers with a few '?', the '?'."""
    for entry in column:
        value = entry.as_py()
        try:
            float(value)
        except (TypeError, ValueError):
            if value is not None:
                return value
    return column[0].as_py() if len(column) else None


def _read_svmlight(file: Path) -> tuple[Any, Vector]:
    """Columns keep their numbers (``zero_based=True``): two files of one problem are never out of step."""
    datasets = require("sklearn.datasets", "cli")
    try:
        X, y = datasets.load_svmlight_file(os.fspath(file), zero_based=True)
    except (ValueError, IndexError) as err:
        raise ValueError(f"{file.name}: not readable as svmlight (want 'y column:value ...'): {err}") from err
    return sparse.csr_array(X), np.asarray(y, dtype=np.float64)


def _read_npz(file: Path, target: str | None, weights: str | None) -> Table:
    inner = ("data", "indices", "indptr", "row", "col", "offsets", "shape", "format", "_is_array")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            extra = {key: archive[key] for key in archive.files if key not in inner}
            stream.seek(0)
            loaded: Any = sparse.load_npz(stream)
        X: Any = sparse.csr_array(loaded, dtype=np.float64)
        X.check_format(full_check=True)  # no index out of range may reach compiled code
    except (ValueError, KeyError, AttributeError, EOFError, NotImplementedError, BadZipFile) as err:
        raise ValueError(f"{file.name}: not readable as scipy.sparse.save_npz writes it: {err}") from err
    if np.isnan(X.data).any():
        raise ValueError(f"{file.name}: {int(np.isnan(X.data).sum())} missing values (NaN); want none")
    if target is None and "y" in extra:
        target = "y"
    y, used = _npz_vector(file, X, extra, "target", target)
    sample_weight, also = _npz_vector(file, X, extra, "weights", weights)
    names = _npz_names(file, extra.get("feature_names"), X.shape[1])
    if taken := {used, also} - {None}:
        kept = [j for j in range(X.shape[1]) if j not in taken]
        X, names = X[:, kept], None if names is None else names[kept]
    return Table(X, y, names, sample_weight, file.name)


def _npz_vector(
    file: Path, X: Any, extra: dict[str, npt.NDArray[Any]], argument: str, key: str | None
) -> tuple[Vector | None, int | None]:
    """A vector of the archive by its name, or a column of X by its number and that number."""
    if key is None:
        return None, None
    if key in extra:
        vector = extra[key]
        if vector.shape != (X.shape[0],) or vector.dtype.kind not in "fiub":
            raise ValueError(
                f"{argument}: {key!r} in {file.name} is {vector.dtype} of shape {vector.shape}; "
                f"want {X.shape[0]} numbers, one a row"
            )
        if vector.dtype.kind == "f" and np.isnan(vector).any():
            raise ValueError(f"{argument}: {key!r} of {file.name} has missing values (NaN); want none")
        return vector.astype(np.float64), None
    if key.isascii() and key.isdigit() and int(key) < X.shape[1]:
        return X[:, [int(key)]].toarray()[:, 0], int(key)
    raise ValueError(
        f"{argument}: got {key!r}; {file.name} holds the vectors {sorted(extra) or 'none'} and a matrix "
        f"with columns 0 to {X.shape[1] - 1}; want one of these"
    )


def _npz_names(file: Path, names: npt.NDArray[Any] | None, p: int) -> Names | None:
    if names is None:
        return None
    if names.shape != (p,) or names.dtype.kind != "U":
        raise ValueError(f"{file.name}: feature_names is {names.dtype} of shape {names.shape}; want {p} strings")
    return names
