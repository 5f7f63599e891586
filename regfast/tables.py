"""Tables on disk to the arrays that a fit takes: CSV and TSV, Parquet, svmlight, sparse ``.npz``.

Nothing is guessed, filled in or encoded: text and missing values are errors that name the column; only labels may be
text. Sparse files stay sparse (sparse_tables.py).
"""

from __future__ import annotations

import importlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .sparse_tables import Column, Names, Vector, read_npz, read_svmlight

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
        The columns that are neither target nor weights nor offset.
    y : (n,) array or None
        The target, float64 unless labels were asked for; None when none was and the file has none of its own.
    feature_names : (p,) array of str or None
        The header; None for files that number their columns.
    weights, offset : (n,) float64 array or None
        The columns named by `weights` and `offset`.
    source : str
        The name of the file, for messages.
    """

    X: Any
    y: Column | None
    feature_names: Names | None
    weights: Vector | None
    offset: Vector | None
    source: str


class Features(NamedTuple):
    """What a model takes from a file."""

    X: Any  # (n, p) float64 array or csr_array
    ignored: list[str]  # columns that the model does not know; they may hold anything
    offset: Vector | None  # (n,)


def require(module: str, extra: str) -> Any:
    """Import an optional module, or say which extra of regfast brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as err:
        package = module.partition(".")[0]
        raise ImportError(f"{package} is not installed; pip install 'regfast[{extra}]' brings it") from err


def read_table(path: str | os.PathLike[str], target: str | None = None, *, weights: str | None = None,
               offset: str | None = None, labels: bool = False) -> Table:
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
    weights, offset : str, optional
        The same for sample weights and an offset (not for svmlight, which has no place for them).
    labels : bool
        The target may be text; text, integers and booleans keep their type.

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
        for argument, value in (("target", target), ("weights", weights), ("offset", offset)):
            if value is not None:
                raise ValueError(
                    f"{argument}: got {value!r}, but {file.name} is svmlight, where each line starts "
                    "with its target and there are no weights and no offset; leave it out"
                )
        X, y = read_svmlight(file)
        table = Table(X, _whole(y) if labels else y, None, None, None, file.name)
    elif kind == "npz":
        X, names, found = read_npz(file, {"target": target, "weights": weights, "offset": offset}, labels)
        table = Table(X, found["target"], names, found["weights"], found["offset"], file.name)
    else:
        table = _read_named(file, {"target": target, "weights": weights, "offset": offset}, labels)
    if table.X.shape[0] == 0:
        raise ValueError(f"{file.name}: the table has no rows; want at least one")
    return table


def read_features(path: str | os.PathLike[str], names: Sequence[str] | None, n_features: int,
                  offset: str | None = None) -> Features:
    """Read the columns that a model wants, in the order in which it wants them.

    Parameters
    ----------
    path : str or path
        As for `read_table`.
    names : sequence of str or None
        The model's feature names; columns are then matched by name wherever the file has names too.
    n_features : int
        p, the number of columns of the model.
    offset : str, optional
        As for `read_table`.

    Returns
    -------
    Features

    Raises
    ------
    ValueError
        Columns of the model that the file lacks; a width other than p where there are no names to match; and
        all that `read_table` raises. A column that a svmlight file does not reach is not missing: it is zero.
    """
    file, kind = Path(path), _kind(Path(path))
    if kind in ("csv", "parquet"):
        arrow = _read_arrow(file)
        shift = _named(arrow, "offset", offset, file)
        wanted = [name for name in arrow.column_names if name != offset] if names is None else list(names)
        positions = _positions(arrow.column_names, wanted, file)
        _check_width(file, len(wanted), n_features)
        taken = {*wanted, offset}
        ignored = [name for name in arrow.column_names if name not in taken]
        return Features(_dense(arrow, positions, file), ignored, shift)
    if kind == "svmlight":
        if offset is not None:
            raise ValueError(f"offset: got {offset!r}, but {file.name} is svmlight and has no place for it; want CSV, "
                             "Parquet or .npz")
        if names is not None:
            raise ValueError(
                f"{file.name}: svmlight numbers its columns and the model names its own; want CSV or Parquet"
            )
        X, _ = read_svmlight(file)
        ignored = [str(j) for j in range(n_features, X.shape[1])]
        X.resize((X.shape[0], n_features))
        return Features(X, ignored, None)
    X, have, found = read_npz(file, {"offset": offset})
    if names is None or have is None:
        _check_width(file, X.shape[1], n_features)
        return Features(X, [], found["offset"])
    positions, taken = _positions(have.tolist(), names, file), {*names}
    return Features(X[:, positions], [name for name in have.tolist() if name not in taken], found["offset"])


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


def _read_named(file: Path, wanted: dict[str, str | None], labels: bool) -> Table:
    arrow = _read_arrow(file)
    found = {argument: _named(arrow, argument, name, file, labels and argument == "target")
             for argument, name in wanted.items()}
    special = set(wanted.values())
    features = [name for name in arrow.column_names if name not in special]
    X = _dense(arrow, _positions(arrow.column_names, features, file), file)
    names = np.array(features, dtype=np.str_)
    return Table(X, found["target"], names, found["weights"], found["offset"], file.name)


def _named(arrow: Any, argument: str, name: str | None, file: Path, labels: bool = False) -> Column | None:
    """The column that an argument names, as float64 or as labels; None without a name."""
    have = arrow.column_names
    if name is None:
        return None
    if name not in have:
        raise ValueError(f"{argument}: {file.name} has no column called {name!r}; it has {_quoted(have)}")
    positions = _positions(have, [name], file)
    if labels:
        return _labels(arrow, positions[0], file)
    try:
        return _dense(arrow, positions, file)[:, 0]
    except TypeError as err:
        raise TypeError(f"{argument}: {err}{'; labels are for family binomial' * (argument == 'target')}") from None


def _labels(arrow: Any, j: int, file: Path) -> Column:
    """A column as labels: text, integers and booleans in their own type, other numbers as float64."""
    kinds = require("pyarrow", "cli").types
    column = arrow.column(j)
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = str(column.type) in ("string", "large_string", "string_view")
    if not (text or kinds.is_integer(column.type) or kinds.is_boolean(column.type)):
        return _dense(arrow, [j], file)[:, 0]
    values = column.to_pylist()
    if gaps := sum(value is None or value == "" for value in values):
        raise ValueError(f"{file.name}: missing values in {arrow.column_names[j]!r} ({gaps} of {len(values)}); "
                         "want none: fill them in or drop them")
    return np.array(values)


def _whole(y: Vector) -> Column:
    """Labels of a format that has only floats: integers where all of them are."""
    return y.astype(np.int64) if np.array_equal(y, np.rint(y)) and np.abs(y).max(initial=0) < 2**53 else y


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
