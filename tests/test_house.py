"""The plan of the house: imports go down the floors, kernels stay silent, files stay short, lists are complete."""

import ast
import re
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNELS = sorted([*(ROOT / "src").glob("*.pyx"), *(ROOT / "src").glob("*.pxd")])
MODULES = sorted((ROOT / "regfast").glob("*.py"))

FLOORS = [
    {"_simd", "_state", "_version"},
    {"_vec"},
    {"_design", "_penalty", "_loss", "_factor"},
    {"_residual", "_bounds", "_gram", "_conjugate"},
    {"_cd", "_active", "_gap"},
    {"_work"},
    {"_screen"},
    {"_solve"},
    {"_model"},
    {"_newton"},
    {"_path", "_moments", "_grouped", "_softmax", "_tilted", "_tally"},
    {"problem", "result", "store", "validation", "conventions", "errors", "blas", "unpenalised", "condense", "gram",
     "predictor", "families", "multipath", "joint", "fenchel", "rownorm", "rowwork", "cvpath", "information", "rules",
     "pieces", "prox", "steps", "statement", "equivalents", "noise", "twins", "averages", "tiles", "threads"},
    {"multinomial", "pairs", "turns", "grouped", "several", "standard_form", "factors", "ridge", "ridges",
     "leave_one_out", "plumbing", "held", "folds", "scoring", "proximal", "readers", "exchange", "dropout",
     "dropped_classes", "dropped_leaps", "judging", "smooth"},
    {"path", "duality", "certificate", "influence", "reference", "reference_logistic", "foreign", "foreign_results"},
    {"estimators", "multitask", "enet_cv", "skpaths", "glm", "logistic", "logistic_cv", "ridge_estimators", "ridge_cv",
     "cv", "nested", "findings", "displays", "account", "plots", "sparse_tables", "tables", "report", "cli", "demo",
     "networks", "last_layer", "torch", "convert", "patch"},
]
FLOOR = {name: k for k, names in enumerate(FLOORS) for name in names}
SILENT = [file for file in KERNELS if FLOOR.get(file.stem, 0) < FLOOR["_work"]]

# Imports inside a function that go up, or back into a module that imports this one: the only ones allowed.
EXEMPT = {
    ("result", "Path._exactly", "path"),
    ("result", "Path.criteria", "influence"),
    ("result", "Path.at_most", "influence"),
    ("result", "Path.plot", "plots"),
    ("cvpath", "CVPath.plot", "plots"),
    ("cvpath", "CVPath.report", "account"),
    ("result", "Path.save", "store"),
    ("cvpath", "CVPath.save", "store"),
    ("multipath", "MultiPath.save", "store"),
    ("result", "Path.to_sklearn", "convert"),
    ("exchange", "Exchange.to_sklearn", "convert"),
    ("cli", "_demo", "demo"),
}


def cimports(file: Path) -> set[str]:
    """Modules of the project that a kernel cimports or imports."""
    return set(re.findall(r"^\s*from\s+(?:regfast)?\.?(\w+)\s+c?import", file.read_text(), re.MULTILINE)) & set(FLOOR)


def imports(file: Path) -> list[tuple[str, str]]:
    """(where, module) of every import from the project at run time; where is "" at module level."""
    found: list[tuple[str, str]] = []

    def visit(node: ast.AST, where: str) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("regfast")):
            module = (node.module or "").removeprefix("regfast").strip(".")
            names = [module.split(".")[0]] if module else [alias.name for alias in node.names]
            found.extend((where, name) for name in names)
        if isinstance(node, ast.Import):
            found.extend((where, a.name.split(".")[1]) for a in node.names if a.name.startswith("regfast."))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            where = f"{where}.{node.name}".strip(".")
        for child in ast.iter_child_nodes(node):
            visit(child, where)

    visit(ast.parse(file.read_text()), "")
    return found


def in_function(file: Path, where: str) -> bool:
    """Whether a dotted place is (in) a function, not just a class body."""
    classes = {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)}
    return bool(set(where.split(".")) - classes - {""})


def test_every_module_has_a_floor() -> None:
    names = {file.stem for file in [*KERNELS, *MODULES]} - {"__init__"}
    assert names <= set(FLOOR), names - set(FLOOR)


def test_the_picture_in_the_docs_is_this_house() -> None:
    picture = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    drawn = re.findall(r"^ *(\d+)  (.*)$", picture, re.MULTILINE)  # names, then what they are for
    floors = {int(k): set(takewhile(FLOOR.__contains__, line.split())) for k, line in drawn}
    assert floors == {k: names - {"_version"} for k, names in enumerate(FLOORS)}


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: file.name)
def test_kernels_import_from_floors_below(file: Path) -> None:
    for name in cimports(file) - {file.stem}:  # a .pyx may cimport its own .pxd
        assert FLOOR[name] < FLOOR[file.stem], f"{file.name} imports {name}"


@pytest.mark.parametrize("file", [file for file in MODULES if file.stem != "__init__"], ids=lambda file: file.name)
def test_modules_never_import_from_floors_above(file: Path) -> None:
    for where, name in imports(file):
        assert name in FLOOR, f"{file.name} imports {name}, which has no floor"
        if (file.stem, where, name) not in EXEMPT:
            assert FLOOR[name] <= FLOOR[file.stem], f"{file.name} imports {name} in {where or 'the module'}"


def test_modules_of_one_floor_do_not_import_each_other_in_circles() -> None:
    below = {file.stem: {name for where, name in imports(file) if (file.stem, where, name) not in EXEMPT}
             for file in MODULES if file.stem != "__init__"}
    while below:
        leaves = {name for name, needs in below.items() if not needs & set(below)}
        assert leaves, f"a circle among {sorted(below)}"
        below = {name: needs for name, needs in below.items() if name not in leaves}


def test_the_exemptions_are_in_functions_and_in_use() -> None:
    used = {(file.stem, where, name) for file in MODULES for where, name in imports(file)}
    assert used >= EXEMPT, EXEMPT - used
    for stem, where, _ in EXEMPT:
        assert in_function(ROOT / "regfast" / f"{stem}.py", where)


def test_the_package_itself_imports_nothing_but_its_version() -> None:
    assert {name for where, name in imports(ROOT / "regfast" / "__init__.py") if not where} == {"_version"}


@pytest.mark.parametrize("file", [*KERNELS, *MODULES], ids=lambda file: file.name)
def test_files_stay_short(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= 350, f"{file.name} has {lines} lines: what is it really two of?"


def code(file: Path) -> list[str]:
    """The lines of a kernel without comments and docstrings, continued lines joined."""
    text = re.sub(r'"""(?:.|\n)*?"""', '""', file.read_text())
    text = re.sub(r"#.*", "", text)
    lines: list[str] = []
    for line in text.splitlines():
        if lines and lines[-1].count("(") > lines[-1].count(")"):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return lines


@pytest.mark.parametrize("file", SILENT, ids=lambda file: file.name)
def test_kernels_below_the_path_never_print_warn_or_raise(file: Path) -> None:
    function = ""
    for line in code(file):
        if header := re.match(r"\s*(?:def|cdef|cpdef)\s.*?(\w+)\(.*\).*:$", line):
            function = header[1]
        if function != "__cinit__":  # where memory ends before there is a status to return
            assert not re.search(r"\bprint\b|\bwarn|\braise\b", line), f"{file.name}: {line.strip()} in {function}"


@pytest.mark.parametrize("file", SILENT, ids=lambda file: file.name)
def test_cdef_methods_are_noexcept_nogil(file: Path) -> None:
    for line in code(file):
        is_function = re.match(r"\s*cdef\s+(?!class|enum|extern|struct)[^=(]*\(", line)
        returns_an_object = re.match(r"cdef Design \w+\(", line)  # a function that makes one, never a method
        if is_function and not returns_an_object:
            assert re.search(r"\) noexcept nogil:?$", line.rstrip()), f"{file.name}: {line.strip()}"


def test_one_version() -> None:
    source = (ROOT / "regfast" / "_version.py").read_text()
    version = re.fullmatch(r'__version__ = "([^"]+)"\n', source)
    assert version
    assert re.findall(r"^ *version: '([^']+)'", (ROOT / "meson.build").read_text(), re.MULTILINE)[:1] == [version[1]]
    import regfast

    assert regfast.__version__ == version[1]
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()  # meson-python takes it from meson.build


def test_everything_is_installed() -> None:
    listing = (ROOT / "regfast" / "meson.build").read_text()
    named = set(re.findall(r"'(\w+\.pyi?|py\.typed)'", listing))
    there = {file.name for pattern in ("*.py", "*.pyi", "py.typed") for file in (ROOT / "regfast").glob(pattern)}
    assert named == there
    lists = dict(re.findall(r"foreach (\w+) : \[([^\]]*)\]", listing))
    headers, kernels = (set(re.findall(r"'(\w+)'", lists[kind])) for kind in ("header", "kernel"))
    assert headers == {file.stem for file in KERNELS if file.suffix == ".pxd"}
    assert kernels == {file.stem for file in KERNELS if file.suffix == ".pyx"}


def test_public_names_are_there() -> None:
    import regfast

    for name in regfast.__all__:
        assert getattr(regfast, name) is not None
    assert set(regfast.__all__) <= set(dir(regfast))
    with pytest.raises(AttributeError, match="no attribute 'lars'"):
        _ = regfast.lars


def test_no_private_module_of_scikit_learn() -> None:
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            if isinstance(node, (ast.Import, ast.ImportFrom)) and any(name.startswith("sklearn") for name in names):
                private = [part for name in names for part in name.split(".") if part.startswith("_")]
                assert not private, f"{file.name} imports {private} of scikit-learn"
