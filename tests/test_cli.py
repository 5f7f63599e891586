"""From a table to a model to predictions, on the command line; each mistake is one line and exit code 2."""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import regfast
from regfast import cli, demo, plots, report
from regfast.cli import main

RNG = np.random.default_rng(11)
N, P = 60, 8
FRAME = pd.DataFrame(RNG.standard_normal((N, P)) * [1, 5, 0.1, 1, 2, 3, 1, 1], columns=[f"v{j}" for j in range(P)])
FRAME["w"] = RNG.random(N)
FRAME["y"] = FRAME["v0"] - FRAME["v1"] + 20 * FRAME["v2"] + 0.5 * RNG.standard_normal(N) + 3
FEATURES = FRAME.columns[:P].tolist()
X = FRAME[FEATURES].to_numpy()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("table.csv", index=False)
    FRAME.drop(columns="w").to_csv("plain.csv", index=False)
    return tmp_path


def run(capsys, command):
    code = main(command.split())
    out, err = capsys.readouterr()
    return code, out, err


def rows_of(out):
    """The printed coefficients: {name: (coefficient, coefficient × sd)}."""
    return {m[1]: (float(m[2]), float(m[3])) for m in re.finditer(r"^  (v\d) +(\S+) +(\S+) +$", out, re.MULTILINE)}


# ---- fit, model, predict


@pytest.mark.parametrize("rule", ["min", "1se"])
def test_fit_model_predict(here, capsys, rule):
    code, _, err = run(capsys, "fit plain.csv --target y --model m.json --quiet")
    assert (code, err) == (0, "")
    code, out, err = run(capsys, f"predict m.json plain.csv --rule {rule}")
    assert code == 0
    assert err == "regfast: note: columns that the model does not know are ignored: y\n"
    head, *lines = out.splitlines()
    assert head == "prediction"
    predicted = np.array(lines, dtype=float)
    cv = regfast.fit_cv(FRAME[FEATURES], FRAME["y"])
    np.testing.assert_allclose(predicted, cv.predict(FRAME[FEATURES], rule), rtol=1e-12)
    # and from the file alone, by hand
    model = json.loads(Path("m.json").read_text())["models"][rule]
    by_hand = [model["intercept"] + sum(b * row[name] for name, b in model["coefficients"].items())
               for row in FRAME.to_dict("records")]
    np.testing.assert_allclose(predicted, by_hand, rtol=1e-12)
    assert run(capsys, f"predict m.json plain.csv --rule {rule} --out p.csv")[:2] == (0, "")
    assert Path("p.csv").read_text() == out


def test_model_is_plain_json_and_certified(here, capsys):
    command = "fit table.csv --target y --weights w --l1-ratio 0.5 --tol 1e-9 --model m.json --quiet"
    assert run(capsys, command)[0] == 0
    model = json.loads(Path("m.json").read_text())
    assert model["regfast"] == regfast.__version__
    assert "alpha sum_j v_j (l1_ratio s_j |b_j|" in model["objective"]
    assert model["cv"]["path"]["feature_names_in_"] == FEATURES
    for chosen in model["models"].values():
        coef = np.array([chosen["coefficients"].get(name, 0.0) for name in FEATURES])
        proof = regfast.certify(X, FRAME["y"], coef, chosen["intercept"], alpha=chosen["alpha"], l1_ratio=0.5,
                                sample_weight=FRAME["w"])
        assert proof.gap <= 1e-9


@pytest.mark.parametrize("options", ["", "--no-standardize", "--no-intercept", "--seed 3 --cv 4 --alphas 30",
                                     "--l1-ratio 0.2 0.9", "--weights w", "--eps 0.001"])
def test_options_reach_the_fit(here, capsys, options):
    assert main(f"fit table.csv --target y --model m.json --quiet {options}".split()) == 0
    got, columns, how = regfast.load("m.json"), [*FEATURES, "w"], {}
    if "weights" in options:
        columns, how = FEATURES, {"sample_weight": FRAME["w"]}
    for key, value in {"--no-st": ("standardize", False), "--no-int": ("fit_intercept", False), "--eps": ("eps", 0.001),
                       "--seed": ("random_state", 3), "--cv": ("cv", 4), "--alphas": ("n_alphas", 30),
                       "--l1": ("l1_ratio", [0.2, 0.9])}.items():  # fmt: skip
        if key in options:
            how[value[0]] = value[1]
    want = regfast.fit_cv(FRAME[columns], FRAME["y"], **how)
    assert np.array_equal(got.path.alphas, want.path.alphas)
    assert np.array_equal(got.path.coefs.toarray(), want.path.coefs.toarray())
    assert np.array_equal(got.scores, want.scores)
    assert (got.alpha_min, got.alpha_1se, got.l1_ratio_best) == (want.alpha_min, want.alpha_1se, want.l1_ratio_best)
    assert got.path.feature_names_in_.tolist() == columns


@pytest.mark.parametrize("rule", ["min", "1se"])
def test_what_is_printed_is_what_is_saved(here, capsys, rule):
    code, out, _ = run(capsys, f"fit plain.csv --target y --model m.json --rule {rule}")
    assert code == 0
    cv = regfast.load("m.json")
    saved = json.loads(Path("m.json").read_text())["models"][rule]
    printed = rows_of(out)
    assert set(printed) == set(saved["coefficients"])
    sd = dict(zip(FEATURES, X.std(axis=0), strict=True))
    for name, (coefficient, scaled) in printed.items():
        assert coefficient == float(f"{saved['coefficients'][name]:.6g}")
        assert scaled == pytest.approx(saved["coefficients"][name] * sd[name], rel=1e-5)
    sizes = [abs(scaled) for _, scaled in printed.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert f"{len(printed)} of {P} features at alpha_{rule}; intercept {saved['intercept']:.6g}" in out
    for name in ("min", "1se"):
        k = cv.path.alphas.tolist().index(cv.alpha(name))
        want = (rf"{name} +{cv.alpha(name):.6g} +{cv.score_mean[k]:.6g} ± {cv.score_se[k]:.3g} +{cv.path.n_nonzero[k]} "
                rf"+{cv.path.deviance_ratio[k]:.1%}")
        assert re.search(want, out)
    y = FRAME["y"].to_numpy()
    r2 = 1 - np.sum((y - cv.oof_predictions) ** 2) / np.sum((y - y.mean()) ** 2)
    assert f"out-of-fold R² at alpha_min, which the same folds chose: {r2:.4f}" in out
    assert f"worst certified relative duality gap of {len(cv.path)} alphas: {cv.path.gaps.max():.1e}" in out
    assert "plain.csv: 60 rows, 8 columns\nlasso: least half the mean squared error" in out


def test_the_top_of_a_long_list(here, capsys):
    _, out, _ = run(capsys, "fit plain.csv --target y --top 2 --model m.json")
    count = len(json.loads(Path("m.json").read_text())["models"]["min"]["coefficients"])
    assert len(rows_of(out)) == 2
    assert f"… and {count - 2} more" in out


def test_a_sparse_table(here, capsys):
    S = sp.random_array((N, 50), density=0.1, format="csr", rng=np.random.default_rng(1))
    np.savez("t.npz", format=b"csr", shape=S.shape, data=S.data, indices=S.indices, indptr=S.indptr, y=S.sum(axis=1))
    code, out, _ = run(capsys, "fit t.npz --model m.json")
    assert code == 0
    assert f"t.npz: 60 rows, 50 columns, sparse: {S.nnz} entries (10.000% of all)" in out
    assert run(capsys, "predict m.json t.npz --out p.csv") == (0, "", "")
    want = regfast.fit_cv(S, S.sum(axis=1)).predict(S)
    np.testing.assert_allclose(np.loadtxt("p.csv", skiprows=1), want, rtol=1e-12)


def test_the_picture_needs_no_display(here, capsys, monkeypatch):
    monkeypatch.setattr(plots, "_pyplot", lambda: pytest.fail("pyplot opens windows"))
    code, out, _ = run(capsys, "fit plain.csv --target y --plot p.png --model m.json")
    assert code == 0
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    assert out.endswith("wrote m.json\nwrote p.png\n")


def test_columns_are_matched_by_name(here, capsys):
    main(["fit", "plain.csv", "--target", "y", "--model", "m.json", "--quiet"])
    _, want, _ = run(capsys, "predict m.json plain.csv")
    shuffled = FRAME[["v3", "v1", "v0", "v2", "v7", "v6", "v5", "v4"]].assign(note="text")
    shuffled.to_csv("other.csv", index=False)
    code, out, err = run(capsys, "predict m.json other.csv")
    assert (code, out) == (0, want)
    assert err == "regfast: note: columns that the model does not know are ignored: note\n"
    shuffled.drop(columns=["v3", "v5"]).to_csv("other.csv", index=False)
    code, out, err = run(capsys, "predict m.json other.csv")
    assert (code, out) == (2, "")
    assert err.startswith("regfast: error: other.csv: no column called 'v3', 'v5'; it has 'v1'")


def test_a_path_of_one_model_predicts_and_a_longer_one_is_refused(here, capsys):
    path = regfast.fit_path(FRAME[FEATURES], FRAME["y"], alphas=[0.1])
    path.save("one.json")
    _, out, _ = run(capsys, "predict one.json plain.csv")
    np.testing.assert_allclose(np.array(out.split()[1:], dtype=float), path.predict(X, 0.1), rtol=1e-12)
    regfast.fit_path(FRAME[FEATURES], FRAME["y"], alphas=[0.1, 0.2]).save("two.json")
    code, _, err = run(capsys, "predict two.json plain.csv")
    assert code == 2
    assert "two.json holds a path of 2 models and no rule to choose one" in err


# ---- what the objective is called


@pytest.mark.parametrize(("arguments", "want"), [
    (([1.0], True, True, False), "lasso: least half the mean squared error + alpha × sum of |coefficient × standard "
     "deviation|; the intercept is not penalised"),
    (([0.0], False, False, True), "ridge: least half the weighted mean squared error + alpha/2 × sum of "
     "(coefficient)²; no intercept"),
    (([0.5, 1.0], False, True, False), "elastic net: least half the mean squared error + alpha × sum of [r × "
     "|coefficient| + (1 − r)/2 × (coefficient)²], r the best of 0.5, 1; the intercept is not penalised"),
])  # fmt: skip
def test_objective_in_words(arguments, want):
    assert report.objective(*arguments) == want


# ---- mistakes


@pytest.mark.parametrize(("command", "message"), [
    ("", "the following arguments are required: COMMAND (regfast --help tells more)"),
    ("fit", "the following arguments are required: TABLE (regfast fit --help tells more)"),
    ("fit plain.csv --cv x", "argument --cv: invalid int value: 'x' (regfast fit --help tells more)"),
    ("fit plain.csv", "--target: say what to predict; plain.csv has the columns 'v0', 'v1', 'v2', 'v3', 'v4', 'v5', "
     "'v6', 'v7' and 1 more"),
    ("fit plain.csv --target z", "target: plain.csv has no column called 'z'; it has 'v0', 'v1', 'v2', 'v3', 'v4', "
     "'v5', 'v6', 'v7' and 1 more"),
    ("fit none.csv --target y", "none.csv: no such file"),
    ("fit plain.csv --target y --cv 1", "cv must be at least 2; got 1"),
    ("fit plain.csv --target y --l1-ratio 2", "l1_ratio must lie in [0, 1]; got 2.0"),
    ("fit plain.csv --target y --top -1", "--top must not be negative; got -1"),
    ("fit plain.csv --target y --model no/m.json", "no/m.json: its folder does not exist"),
    ("predict none.json plain.csv", "[Errno 2] No such file or directory: 'none.json'"),
])  # fmt: skip
def test_mistakes_are_one_line(here, capsys, command, message):
    code, _, err = run(capsys, command + (" --quiet" if "--target" in command else ""))
    assert code == 2
    assert err == f"regfast: error: {message}\n"


def test_an_unknown_kind_of_picture_is_said_before_the_work(here, capsys, monkeypatch):
    monkeypatch.setattr(cli, "fit_cv", lambda *_, **__: pytest.fail("worked first"))
    code, _, err = run(capsys, "fit plain.csv --target y --plot p.xyz")
    assert code == 2
    assert err.startswith("regfast: error: --plot: p.xyz names no format of pictures; want one of .")
    assert err.count("\n") == 1


def test_a_file_that_is_no_model(here, capsys):
    code, _, err = run(capsys, "predict plain.csv plain.csv")
    assert code == 2
    assert err.startswith("regfast: error: plain.csv is not a regfast model")
    assert err.count("\n") == 1


def test_ctrl_c(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "fit_cv", interrupted)
    assert run(capsys, "fit plain.csv --target y --quiet") == (130, "", "regfast: interrupted\n")


def test_warnings_are_lines(here, capsys):
    FRAME.assign(y=FRAME["v0"]).to_csv("exact.csv", index=False)
    code, _, err = run(capsys, "fit exact.csv --target y --quiet --eps 0.5")
    assert code == 0
    assert re.fullmatch(r"regfast: warning: the best alpha, \S+, is the smallest of the grid: [^\n]*\n", err)


def test_missing_packages_are_named(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    code, _, err = run(capsys, "fit plain.csv --target y")
    assert code == 2
    assert err == "regfast: error: rich is not installed; pip install 'regfast[cli]' brings it\n"


def test_a_bar_on_a_terminal_only(here, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    with report.progress_bar(quiet=False) as progress:
        assert progress is False
    monkeypatch.setattr(sys, "stderr", Terminal())
    with report.progress_bar(quiet=True) as progress:
        assert progress is False
    monkeypatch.setenv("TERM", "xterm")
    with report.progress_bar(quiet=False) as progress:
        progress(5, 10)
    assert "50%" in sys.stderr.getvalue()


def test_a_reader_that_leaves(here):
    main(["fit", "plain.csv", "--target", "y", "--model", "m.json", "--quiet"])
    command = "import sys; from regfast.cli import main; sys.stdin.read(); sys.exit(main(sys.argv[1:]))"
    child = subprocess.Popen([sys.executable, "-P", "-c", command, "predict", "m.json", "plain.csv"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    child.stdout.close()
    child.stdin.close()
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait() == 141
    assert b"Traceback" not in err
    assert b"Exception" not in err


def test_help_and_version(capsys):
    for command in ("--help", "fit --help", "predict --help", "demo --help", "--version"):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        assert stop.value.code == 0
    assert capsys.readouterr().out.endswith(f"regfast {regfast.__version__}\n")


# ---- the demo's text


@pytest.fixture(scope="module")
def text():
    return demo.stdlib_text()


@pytest.fixture(scope="module")
def sources():
    """The distinct functions in order, with the number of their file."""
    seen = {}
    root = Path(ast.__file__).parent
    for number, file in enumerate(demo.source_files(root)):
        for source in demo.functions(file):
            seen.setdefault(source, number)
    return seen


def syntax(source):
    tree = ast.parse(source if source[:1] not in " \t" else f"if 1:\n{source}")
    return tree.body[0] if isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef) else tree.body[0].body[0]


def decisions(node):
    """McCabe's count from the syntax tree; f-strings are strings to the demo and are not entered."""
    if isinstance(node, ast.JoinedStr):
        return 0
    here = isinstance(node, ast.If | ast.IfExp | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler)
    if isinstance(node, ast.BoolOp):
        here = len(node.values) - 1
    elif isinstance(node, ast.comprehension):
        here = 1 + len(node.ifs)
    elif isinstance(node, ast.match_case):
        here = node.guard is not None
    return here + sum(decisions(child) for child in ast.iter_child_nodes(node))


def test_text_is_a_large_sparse_problem(text, sources):
    n, p = text.X.shape
    assert isinstance(text.X, sp.csr_array)
    assert text.X.dtype == np.float64
    assert text.X.indices.dtype == text.X.indptr.dtype == np.int32
    assert n == len(text.y) == len(text.groups) == len(sources) > 5000
    assert p == len(text.names) == len(set(text.names.tolist())) >= 100_000
    assert text.X.has_canonical_format
    assert (text.X.data == 1).all()
    assert np.bincount(text.X.indices, minlength=p).min() >= 2
    assert text.groups.tolist() == list(sources.values())


def test_target_is_the_complexity_of_the_syntax_tree(text, sources):
    want = np.array([1 + decisions(syntax(source)) for source in sources])
    assert np.array_equal(np.exp2(text.y).round(), want)


def test_columns_are_the_tokens_that_python_itself_sees(text, sources):
    names = {name: j for j, name in enumerate(text.names.tolist())}
    left_out = demo.BRANCHES | demo.COMPANIONS
    checked = 0
    for i, source in enumerate(sources):
        if i % 97 or re.search(r"""\b[rR]?[fF][rR]?["']""", source):
            continue  # from 3.12 on, Python looks into f-strings
        whole = source if source[:1] not in " \t" else f"if 1:\n{source}\n"
        tokens = tokenize.generate_tokens(io.StringIO(whole).readline)
        words = {token.string for token in tokens if token.type == tokenize.NAME} - left_out
        row = text.X.indices[text.X.indptr[i] : text.X.indptr[i + 1]]
        got = {str(name) for name in text.names[row] if name.isidentifier()}
        assert got == {word for word in words if word in names}
        checked += 1
    assert checked > 80


def test_runs_of_tokens_and_what_is_left_out(tmp_path):
    body = 'def f(a):\n    """if"""\n    if a == 1 and not a:  # or\n        return a.b("while")\n'
    (tmp_path / "one.py").write_text(body + "\n" + body.replace("f(", "g(") + "\nclass C:\n    def h(self): pass\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "two.py").write_text("def unseen(): pass\n")
    (tmp_path / "zz.py").write_text("def broken(:\n")
    text = demo.stdlib_text(tmp_path)
    assert text.y.tolist() == [np.log2(3), np.log2(3), 0.0]
    assert text.groups.tolist() == [0, 0, 0]
    tokens = ["(", "a", ")", "a", "==", "1", "a", "return", "a", ".", "b", "(", ")"]
    want = {" ".join(tokens[k : k + m]) for m in (1, 2, 3) for k in range(len(tokens) - m + 1)} | {"def"}
    third = {"def", "(", ")"}
    assert set(text.names.tolist()) == want
    assert [set(text.names[row.indices].tolist()) for row in (text.X[[i]] for i in range(3))] == [want, want, third]
    with pytest.raises(OSError, match=r"no Python sources with functions are here"):
        demo.stdlib_text(tmp_path / "nothing")


def test_demo_writes_its_files(tmp_path, monkeypatch, capsys, text):
    # the real problem, cut down to 40 tokens: the whole demo runs in continuous integration
    some = np.flatnonzero(text.groups < 40)
    columns = np.flatnonzero(np.bincount(text.X[some].indices, minlength=len(text.names)) > 50)[:40]
    X, y = text.X[some][:, columns], text.y[some]
    small = replace(text, X=X, y=y, names=text.names[columns], groups=text.groups[some])
    monkeypatch.setattr(demo, "stdlib_text", lambda: small)
    assert main(["demo", "--out", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    for name in ("diabetes", "stdlib"):
        cv = regfast.load(tmp_path / "new" / f"{name}.json")
        assert (tmp_path / "new" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        for alpha in (cv.alpha_min, cv.alpha_1se):
            assert f"{alpha:.6g}" in out
        assert f"{cv.path.gaps.max():.1e}" in out
    assert cv.path.feature_names_in_.tolist() == small.names.tolist()
    assert "bmi" in (tmp_path / "new" / "diabetes.html").read_text(encoding="utf-8")
