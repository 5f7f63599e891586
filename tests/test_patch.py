"""patch_sklearn, and programs run by `python -m regfast.patch`."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sklearn.linear_model as theirs

import regfast
from regfast import patch_sklearn, unpatch_sklearn
from regfast.patch import CLASSES, NAMES, main, original

ORIGINAL = {name: getattr(theirs, name) for name in NAMES}


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    yield
    unpatch_sklearn()
    assert {name: getattr(theirs, name) for name in NAMES} == ORIGINAL


def test_all_names() -> None:
    patch_sklearn()
    patch_sklearn()  # changes nothing
    for name in NAMES:
        assert getattr(theirs, name) is getattr(regfast, name)
        assert original(name) is ORIGINAL[name]
    from sklearn.linear_model import Lasso  # as a program would, after it

    assert Lasso is regfast.Lasso
    unpatch_sklearn()
    unpatch_sklearn()
    assert theirs.Lasso is ORIGINAL["Lasso"]


def test_some_names() -> None:
    patch_sklearn("Lasso")
    patch_sklearn(["Ridge", "enet_path"])
    changed = {name for name in NAMES if getattr(theirs, name) is not ORIGINAL[name]}
    assert changed == {"Lasso", "Ridge", "enet_path"}
    unpatch_sklearn(["Lasso", "LassoCV"])
    assert theirs.Lasso is ORIGINAL["Lasso"]
    assert theirs.Ridge is regfast.Ridge


def test_unknown_names() -> None:
    for function in (patch_sklearn, unpatch_sklearn):
        with pytest.raises(ValueError, match=r"names must be among Lasso, .* got \['Lars'\]"):
            function(["Lasso", "Lars"])
    assert theirs.Lasso is ORIGINAL["Lasso"]  # all or nothing


def test_conversion_does_not_mind() -> None:
    patch_sklearn()
    there = regfast.Lasso(0.1).to_sklearn()
    assert type(there) is ORIGINAL["Lasso"]
    assert type(regfast.from_sklearn(there)) is regfast.Lasso


def test_from_many_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            list(pool.map(lambda k: (unpatch_sklearn if k % 2 else patch_sklearn)(), range(16)))
            assert all(original(name) is ORIGINAL[name] for name in CLASSES)
            unpatch_sklearn()


PROGRAM = """\
import sys
from sklearn.linear_model import Lasso, lasso_path
print(Lasso.__module__, lasso_path.__module__, __name__, sys.argv[1:])
if __name__ == "__main__":
    import neighbour
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "neighbour.py").write_text("from sklearn.linear_model import Ridge\nprint(Ridge.__module__)\n")
    (tmp_path / "breaks.py").write_text("raise LookupError('lost')\n")
    return tmp_path


@pytest.mark.parametrize("how", ["script", "module"])
def test_programs(folder: Path, how: str) -> None:
    """Nothing in the program changes; its arguments, its neighbours and its exit code are as without."""
    elsewhere, words = {"script": (folder.parent, [folder / "program.py"]), "module": (folder, ["-m", "program"])}[how]
    command = [sys.executable, "-m", "regfast.patch", *map(str, words), "3", "--flag"]
    done = subprocess.run(command, cwd=elsewhere, check=False, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "regfast.estimators regfast.skpaths __main__ ['3', '--flag']", "regfast.ridge_estimators"]
    assert done.returncode == 3


def test_programs_that_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(LookupError, match="lost"):
        main([str(folder / "breaks.py")])
    assert sys.path[0] == str(folder)
    with pytest.raises(FileNotFoundError):
        main([str(folder / "missing.py")])


def test_no_program(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["-m"], ["--fast", "program.py"]):
        assert main(arguments) == 2
        assert "python -m regfast.patch script.py" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "python -m regfast.patch -m module" in capsys.readouterr().out
