"""What was written is what is read, bit for bit, and every refusal names the file, the column and the cure."""

import gzip
import sys

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from pyarrow import csv, parquet
from sklearn.datasets import dump_svmlight_file

from regfast.tables import read_features, read_table

RNG = np.random.default_rng(5)
N, P = 23, 6
DENSE = RNG.standard_normal((N, P)) * 10.0 ** RNG.integers(-300, 300, size=(N, P))  # every digit and exponent counts
Y = RNG.standard_normal(N)
WEIGHTS = RNG.random(N)
NAMES = [f"col {j}" for j in range(P)]
SPARSE = sp.random_array((N, 40), density=0.2, format="csr", rng=np.random.default_rng(6))


def arrow():
    columns = {"w": WEIGHTS, **{name: DENSE[:, j] for j, name in enumerate(NAMES)}}
    columns["y"] = Y
    return pa.table(columns)


def write(folder, suffix):
    file = folder / f"table{suffix}"
    if suffix == ".parquet":
        parquet.write_table(arrow(), file)
    else:
        csv.write_csv(arrow(), file, csv.WriteOptions(delimiter="," if suffix == ".csv" else "\t"))
    return file


def text(folder, content, name="table.csv"):
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


def npz(folder, **extra):
    file = folder / "table.npz"
    parts = {"format": b"csr", "shape": SPARSE.shape, "data": SPARSE.data, "indices": SPARSE.indices}
    np.savez(file, **{**parts, "indptr": SPARSE.indptr, **extra})
    return file


# ---- round trips


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".tab", ".parquet"])
def test_named_table_comes_back_bit_for_bit(tmp_path, suffix):
    table = read_table(write(tmp_path, suffix), "y", weights="w")
    assert np.array_equal(table.X, DENSE)
    assert table.X.flags.f_contiguous
    assert np.array_equal(table.y, Y)
    assert np.array_equal(table.weights, WEIGHTS)
    assert table.feature_names.tolist() == NAMES
    assert table.source == f"table{suffix}"


def test_packed_text(tmp_path):
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(write(tmp_path, ".csv").read_bytes()))
    assert np.array_equal(read_table(packed, "y", weights="w").X, DENSE)


def test_booleans_and_integers_become_numbers(tmp_path):
    table = read_table(text(tmp_path, "a,b,y\ntrue,1,2\nfalse,-3,4\n"), "y")
    assert table.X.tolist() == [[1.0, 1.0], [0.0, -3.0]]
    columns = {"a": [True, False], "b": np.array([2**53 + 1, 1]), "c": np.array([1, 2], dtype="u1")}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").X.tolist() == [[1.0, float(2**53), 1.0], [0.0, 1.0, 2.0]]


def test_a_late_fraction_and_a_byte_order_mark(tmp_path, monkeypatch):
    # integers for many blocks, then a fraction: the type must be that of the whole column
    monkeypatch.setattr("regfast.tables._BLOCK", 1024)
    rows = "1,2\n" * 4000
    table = read_table(text(tmp_path, f"\ufeffa,y\n{rows}0.5,2\n"), "y")
    assert table.feature_names.tolist() == ["a"]
    assert table.X[:, 0].tolist() == [1.0] * 4000 + [0.5]


def test_row_labels_of_pandas_are_not_a_feature(tmp_path):
    frame = arrow().to_pandas()
    frame.index = np.arange(N) * 7
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", "y", weights="w").feature_names.tolist() == NAMES


@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("suffix", [".svm", ".svmlight", ".libsvm"])
def test_svmlight_keeps_the_numbers_of_its_columns(tmp_path, suffix, zero_based):
    file = tmp_path / f"table{suffix}"
    dump_svmlight_file(SPARSE, Y, str(file), zero_based=zero_based)
    table = read_table(file)
    shift = 0 if zero_based else 1
    assert sp.issparse(table.X)
    assert table.X.format == "csr"
    width = table.X.shape[1] - shift  # trailing empty columns leave no trace in the file
    np.testing.assert_allclose(table.X.toarray()[:, shift:], SPARSE.toarray()[:, :width], rtol=1e-15)
    assert SPARSE[:, width:].nnz == 0
    np.testing.assert_allclose(table.y, Y, rtol=1e-15)
    assert table.feature_names is None


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_scipy_npz(tmp_path, kind):
    sp.save_npz(tmp_path / "t.npz", SPARSE.asformat(kind))
    table = read_table(tmp_path / "t.npz")
    assert table.X.format == "csr"
    assert np.array_equal(table.X.toarray(), SPARSE.toarray())
    assert table.y is None


def test_npz_target_is_a_vector_or_a_column(tmp_path):
    names = np.array([f"f{j}" for j in range(40)])
    file = npz(tmp_path, y=Y, z=-Y, v=WEIGHTS, feature_names=names)
    whole = SPARSE.toarray()
    assert np.array_equal(read_table(file).y, Y)
    table = read_table(file, "z", weights="v")
    assert np.array_equal(table.y, -Y)
    assert np.array_equal(table.weights, WEIGHTS)
    assert np.array_equal(table.X.toarray(), whole)
    table = read_table(file, "3", weights="0")
    kept = [j for j in range(40) if j not in (0, 3)]
    assert np.array_equal(table.y, whole[:, 3])
    assert np.array_equal(table.weights, whole[:, 0])
    assert np.array_equal(table.X.toarray(), whole[:, kept])
    assert table.feature_names.tolist() == names[kept].tolist()


# ---- the columns that a model wants


def test_features_are_matched_by_name(tmp_path):
    file = text(tmp_path, "c,note,a,b\n3,x,1,2\n6,,4,5\n")
    X, ignored, _ = read_features(file, ["a", "b", "c"], 3)
    assert X.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert ignored == ["note"]  # text in a column that nobody asked for harms nobody


def test_npz_features_are_matched_by_name(tmp_path):
    names = np.array([f"f{j}" for j in range(40)])
    X, ignored, _ = read_features(npz(tmp_path, y=Y, feature_names=names), ["f7", "f2"], 2)
    assert np.array_equal(X.toarray(), SPARSE.toarray()[:, [7, 2]])
    assert len(ignored) == 38
    X, ignored, _ = read_features(npz(tmp_path), names.tolist(), 40)
    assert np.array_equal(X.toarray(), SPARSE.toarray())
    assert ignored == []


def test_svmlight_features_are_as_wide_as_the_model(tmp_path):
    file = text(tmp_path, "1 2:5 4:7\n0 1:3\n", "t.svm")
    assert read_features(file, None, 3)[0].toarray().tolist() == [[0, 0, 5], [0, 3, 0]]
    assert read_features(file, None, 3)[1] == ["3", "4"]
    assert read_features(file, None, 7)[0].shape == (2, 7)


# ---- refusals

CSV_ERRORS = {
    "text": ("a,b,c,y\n1,2,x,3\n4,?,z,5\n", TypeError, r"table.csv: columns that are not numeric: 'b' \(e.g. '\?'\), "
             r"'c' \(e.g. 'x'\); want numbers or booleans: encode .* or drop"),
    "date": ("d,y\n2020-01-31,1\n", TypeError, r"'d' \(e.g. '2020-01-31'\)"),
    "missing": ("a,b,c,y\n1,,1,1\n,NA,1,2\n3,,1,3\n", ValueError,
                r"table.csv: missing values in 'a' \(1 of 3\), 'b' \(3 of 3\)"),
    "missing target": ("a,y\n1,\n2,3\n", ValueError, r"missing values in 'y' \(1 of 2\)"),
    "unknown target": ("a,b\n1,2\n", ValueError, r"target: table.csv has no column called 'y'; it has 'a', 'b'"),
    "repeated": ("a,b,a,y\n1,2,3,4\n", ValueError, r"more than one column is called 'a'"),
    "ragged": ("a,y\n1,2\n3\n", ValueError, r"table.csv: not readable as csv: .*Expected 2 columns, got 1"),
    "empty": ("", ValueError, r"table.csv: not readable as csv: Empty CSV file"),
    "no rows": ("a,y\n", ValueError, r"table.csv: the table has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV_ERRORS)
def test_refused_csv(tmp_path, case):
    content, error, message = CSV_ERRORS[case]
    with pytest.raises(error, match=message):
        read_table(text(tmp_path, content), "y")


def test_refused_names_that_are_not_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,\xff,y\n1,2,3\n")
    with pytest.raises(ValueError, match=r"t.csv: not readable as csv: 'utf-8' codec"):
        read_table(tmp_path / "t.csv", "y")


def test_refused_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv: no such file"):
        read_table(tmp_path / "none.csv", "y")
    with pytest.raises(FileNotFoundError, match=r"this is a folder"):
        read_table(tmp_path, "y")
    with pytest.raises(ValueError, match=r"t.xlsx: the suffix names no format .* want one of .csv, .tsv"):
        read_table(text(tmp_path, "", "t.xlsx"), "y")
    for name in ("t.parquet", "t.svm", "t.npz"):
        with pytest.raises(ValueError, match=rf"{name}: not readable as"):
            read_table(text(tmp_path, "1 broken:3\n", name))
    with pytest.raises(ValueError, match=r"target: got 'y', but t.svm is svmlight"):
        read_table(text(tmp_path, "1 1:3\n", "t.svm"), "y")
    with pytest.raises(ValueError, match=r"weights: got 'w', but t.svm is svmlight"):
        read_table(tmp_path / "t.svm", weights="w")


def test_refused_npz(tmp_path):
    with pytest.raises(ValueError, match=r"target: got 'z'; table.npz holds the vectors \['y'\] .* columns 0 to 39"):
        read_table(npz(tmp_path, y=Y), "z")
    with pytest.raises(ValueError, match=r"target: got '40'"):
        read_table(npz(tmp_path), "40")
    with pytest.raises(ValueError, match=r"target: 'y' in table.npz is float64 of shape \(3,\); want 23 numbers"):
        read_table(npz(tmp_path, y=np.zeros(3)))
    with pytest.raises(ValueError, match=r"'y' of table.npz has missing values"):
        read_table(npz(tmp_path, y=np.full(N, np.nan)))
    with pytest.raises(ValueError, match=r"missing values \(NaN\)"):
        read_table(npz(tmp_path, data=np.full(SPARSE.nnz, np.nan)))
    with pytest.raises(ValueError, match=r"feature_names is <U1 of shape \(1,\); want 40 strings"):
        read_table(npz(tmp_path, feature_names=np.array(["a"])))
    with pytest.raises(ValueError, match=r"not readable as .*indices must be < 40"):
        read_table(npz(tmp_path, indices=SPARSE.indices + 40))


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (sys.exit, ("unpickled",))

    with pytest.raises(ValueError, match=r"allow_pickle=False"):
        read_table(npz(tmp_path, y=np.array([Trap()] * N, dtype=object)))


def test_refused_features(tmp_path):
    file = text(tmp_path, "a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"table.csv: no column called 'c', 'd'; it has 'a', 'b'"):
        read_features(file, ["a", "c", "d"], 3)
    with pytest.raises(ValueError, match=r"table.csv: got 2 columns, the model wants 3"):
        read_features(file, None, 3)
    with pytest.raises(ValueError, match=r"table.npz: got 40 columns, the model wants 39"):
        read_features(npz(tmp_path), None, 39)
    with pytest.raises(ValueError, match=r"t.svm: svmlight numbers its columns"):
        read_features(text(tmp_path, "1 1:3\n", "t.svm"), ["a"], 1)


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pyarrow is not installed; pip install 'regfast\[cli\]'"):
        read_table(text(tmp_path, "a,y\n1,2\n"), "y")
