"""The report: what it says against the arrays it speaks of, the page well formed and closed in itself, the pictures."""

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.testing import assert_allclose, assert_array_equal
from oracle import make_data
from sklearn.linear_model import ElasticNetCV, Lasso, MultiTaskLasso, Ridge

from regfast import CVDisplay, PathDisplay, fit_cv, fit_path
from regfast.cli import main
from regfast.displays import plot_balance
from regfast.findings import Section, entries, findings, near

X, Y, W = make_data(n=80, p=10)
NAMES = ["<b>&\"a'", "größe", *(f"v{j}" for j in range(8))]
FRAME = pd.DataFrame(X, columns=NAMES)
# grids are short, so that the tests are: the best α is then often the last, which the report has to say and says
pytestmark = pytest.mark.filterwarnings("ignore:the best alpha")


class Page(HTMLParser):
    """Checks that tags close in order, and collects text, table cells, links and pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def section(sections: list[Section], title: str) -> Section:
    return next(part for part in sections if part.title == title)


def test_the_page_is_one_closed_file(tmp_path: Any) -> None:
    cv = fit_cv(FRAME, Y, cv=5, keep_folds=True)
    report = cv.report(tmp_path / "page.html", X=FRAME, y=Y)
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert source == report.html()
    page = Page(source)
    assert not {"script", "iframe", "object", "style@import"} & set(page.tags)
    assert all(link.startswith("data:") for link in page.links)
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", source)
    assert "url(" not in source
    pictures = [link for link in page.links if link.startswith("data:image/png;base64,")]
    assert len(pictures) == page.tags.count("img") == 3
    for picture in pictures:
        pixels = imread(io.BytesIO(base64.b64decode(picture.split(",")[1])))
        assert pixels.shape[1] >= 900
        assert pixels[..., :3].min() < 0.1 < 0.9 < pixels[..., :3].max()
    assert any("<b>&\"a'" in row for row in page.rows)
    text = repr(report)
    for part in report.sections:
        assert part.title in text
        for row in part.rows:
            assert list(row) in page.rows
            assert all(cell in text for cell in row)


def test_the_tables_are_those_of_the_result() -> None:
    cv = fit_cv(FRAME, Y, cv=5, sample_weight=W, keep_folds=True, criteria=True)
    parts = findings(cv, "1se")
    rows = {row[0]: row for row in section(parts, "What each rule selects").rows}
    assert set(rows) == {"min", "1se", "within 2%", "aic", "bic", "ebic", "refitted aic", "refitted bic",
                         "refitted ebic", "alo"}
    for rule, row in rows.items():
        k = int(np.flatnonzero(cv.path.alphas == cv.alpha(rule))[0])
        assert float(row[1]) == pytest.approx(cv.alpha(rule), rel=1e-3)
        assert int(row[2]) == cv.path.n_nonzero[k]
        assert float(row[3].split()[0]) == pytest.approx(cv.score_mean[k], rel=1e-4)
        assert float(row[4]) == pytest.approx(cv.train_mean[k], rel=1e-4)
    chosen = section(parts, "Selected features").rows
    coef, share = cv.coef("1se"), cv.selection_frequency("1se")
    assert len(chosen) == np.count_nonzero(coef)
    for row in chosen:
        j = NAMES.index(row[0])
        assert float(row[1]) == pytest.approx(coef[j], rel=1e-4)
        assert float(row[2]) == pytest.approx(coef[j] * cv.path.scales[j], rel=1e-3)
        assert row[4] == f"{share[j]:.0%}"
    sizes = [abs(float(row[2])) for row in chosen]
    assert sizes == sorted(sizes, reverse=True)
    dense = cv.path.coefs.toarray()
    for j, alpha in enumerate(entries(cv)):
        used = np.flatnonzero(dense[j])
        assert alpha == (cv.path.alphas[used[0]] if used.size else 0)
    names = section(parts, "How far the rules agree").head[1:]
    shown = np.array([[float(x) for x in row[1:]] for row in section(parts, "How far the rules agree").rows])
    assert_allclose(shown, cv.jaccard(names), atol=0.005)


def test_training_deviance_is_that_of_the_training_rows() -> None:
    cv = fit_cv(X, Y > 3, family="binomial", cv=4, sample_weight=W, keep_folds=True, n_alphas=15)
    assert cv.folds is not None
    means, weight = [], []
    for train, test, path in cv.folds:
        mu = path.predict(X[train])
        y = (Y > 3)[train, None]
        loss = -2 * np.log(np.where(y, mu, 1 - mu))
        means.append(W[train] @ loss / W[train].sum())
        weight.append(W[test].sum())
    assert_allclose(cv.train_mean, np.average(means, axis=0, weights=weight), rtol=1e-8)
    ax = plot_balance(cv, Figure().subplots())
    lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.lines}
    assert_array_equal(lines["training rows"], cv.train_mean)
    assert_array_equal(lines["held-out rows (± 1 standard error)"], cv.score_mean)
    with pytest.raises(ValueError, match="cv must be scored by deviance"):
        plot_balance(fit_cv(X, Y, cv=3, scoring="r2", n_alphas=5))


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array], ids=["dense", "CSR", "CSC"])
def test_competitors_by_their_formulas(storage: Any) -> None:
    rng = np.random.default_rng(0)
    A = np.column_stack([X, X[:, 0] + 0.5 * rng.standard_normal(80), X[:, 1] + 1e-3 * rng.standard_normal(80)])
    y = 3 * X[:, 0] + 2 * X[:, 1] + rng.standard_normal(80)
    cv = fit_cv(A, y, cv=5, sample_weight=W)
    parts = findings(cv, "1se", storage(A), y, sample_weight=W)
    rows = {row[0]: row[5] for row in section(parts, "Selected features").rows}
    w = W / W.sum()
    Z = A - w @ A
    Z /= np.sqrt(w @ Z**2)
    r = w * (y - cv.predict(A, "1se"))
    found = re.search(r"x10 \(r = (\S+), not selected, (\d+)% of the way in\)", rows["x0"])
    assert found
    assert float(found[1]) == pytest.approx(w @ (Z[:, 0] * Z[:, 10]), abs=0.006)
    assert float(found[2]) == pytest.approx(100 * abs(r @ Z[:, 10]) / cv.alpha_1se, abs=0.6)
    twin = "x11" if "x1" in rows else "x1"
    assert re.search(rf"{twin} \(r = 1.00, .*nearly the same\)", rows["x1" if "x1" in rows else "x11"])
    assert "Nearly duplicate columns" in " ".join(section(parts, "Warnings").text)


def test_warnings_apply_where_they_do_and_nowhere_else() -> None:
    def told(cv: Any, rule: Any = "min", **data: Any) -> str:
        return " ".join(section(findings(cv, rule, **data), "Warnings").text)

    assert told(fit_cv(X, Y, cv=5), X=X, y=Y) == "None applies."
    assert "smallest of the grid" in told(fit_cv(X, Y, cv=5, alphas=[3.0, 1.0]))
    noise = np.random.default_rng(4).standard_normal(80)
    assert re.search("largest of the grid: the features do not help|without features is within one", told(
        fit_cv(X, noise, cv=5)))
    raw = told(fit_cv(X * np.r_[1e3, np.ones(9)], Y, cv=5, standardize=False, n_alphas=20))
    assert "standardize=False, and the standard deviations of the columns differ by a factor of" in raw
    rng = np.random.default_rng(1)
    wide, target = rng.standard_normal((30, 60)), rng.standard_normal(30)
    full = fit_cv(wide, wide[:, 0] + 0 * target, cv=3)
    assert "ends saturated" in told(full)
    few = fit_cv(wide, target, cv=3, alphas=[1e-9, 1.0], tol=1e-6)
    assert "as many features as observations" in told(few, 60)


def test_where_the_curve_is_flat() -> None:
    cv = fit_cv(X, Y, cv=5)
    lo, hi = near(cv)
    at = int(cv.score_mean.argmin())
    bound = cv.score_mean[at] + cv.score_se[at]
    assert (cv.score_mean[lo:hi + 1] <= bound).all()
    assert lo == 0 or cv.score_mean[lo - 1] > bound
    assert hi == len(cv.path) - 1 or cv.score_mean[hi + 1] > bound
    text = section(findings(cv), "How flat the curve is").text[0]
    assert f"{cv.path.n_nonzero[lo]} to {cv.path.n_nonzero[hi]} features" in text


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ridge": (Y, {"l1_ratio": 0.0}), "ratios": (Y, {"l1_ratio": [0.5, 1.0]}),
    "scorer": (Y, {"scoring": "neg_mean_absolute_error"}), "poisson": (np.round(np.exp(Y / 6)), {"family": "poisson"}),
    "multinomial": (np.digitize(Y, [1, 4]), {"family": "multinomial", "n_alphas": 10, "eps": 0.05}),
    "multigaussian": (np.column_stack([Y, X[:, 0]]), {"family": "multigaussian", "n_alphas": 10}),
    "constant": (np.full(80, 2.0), {}), "zero": (Y, {"alphas": [1.0, 0.1, 0.0]}),
    "offset": (Y, {"offset": np.cos(np.arange(80.0))})}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_fit_has_a_page(name: str) -> None:
    y, options = KINDS[name]
    cv = fit_cv(FRAME.astype("float32"), y, cv=4, keep_folds=True, **options)
    data = {key: options[key] for key in ("offset",) if key in options}
    for given in ({}, {"X": FRAME.astype("float32"), "y": y, **data}):
        page = Page(cv.report(**given).html())
        assert page.tags.count("img") == (2 if name == "scorer" else 3)
        assert sum("nan" in cell for row in page.rows for cell in row) == 0
    nothing = fit_cv(np.empty((80, 0)), Y, cv=4)
    assert "0 of 0 features" in repr(nothing.report())


def test_displays_as_in_scikit_learn() -> None:
    path, cv = fit_path(X, Y), fit_cv(X, Y, cv=5)
    ax = Figure().subplots()
    shown = PathDisplay.from_path(path, ax=ax)
    assert shown.ax_ is ax
    assert shown.figure_ is ax.figure
    curve = CVDisplay.from_path(cv, ax=Figure().subplots())
    assert_array_equal(curve.ax_.lines[0].get_ydata(), cv.score_mean)
    for model in (Lasso(alpha=0.1, positive=True), ElasticNetCV(l1_ratio=0.7, cv=3)):
        shown = PathDisplay.from_estimator(model.fit(X, Y), X, Y, ax=Figure().subplots())
        alpha = getattr(model, "alpha_", getattr(model, "alpha", None))
        assert shown.alpha == alpha
        assert_allclose(shown.path.coef_at(alpha, exact=True, X=X, y=Y), model.coef_, atol=2e-3)
        curve = CVDisplay.from_estimator(model, X, Y, cv=4, ax=Figure().subplots())
        assert curve.cv.path.l1_ratio == getattr(model, "l1_ratio", 1.0)
        assert not curve.cv.path.standardize
    several = PathDisplay.from_estimator(MultiTaskLasso(0.1).fit(X, np.c_[Y, X[:, 0]]), X, np.c_[Y, X[:, 0]],
                                         ax=Figure().subplots())
    assert several.path.outputs == [0, 1]
    with pytest.raises(TypeError, match=r"estimator must be a Lasso, an ElasticNet, or .*; got Ridge"):
        PathDisplay.from_estimator(Ridge().fit(X, Y), X, Y)


# ---- on the command line


def test_the_command_line(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(X, columns=[f"v{j}" for j in range(10)]).assign(y=Y).to_csv("t.csv", index=False)
    table = pd.read_csv("t.csv")
    A, y = table.drop(columns="y"), table["y"]
    cv = fit_cv(A, y, criteria=True)
    for rule in ("within 10%", "3", "refitted ebic", "alo"):
        assert main(["fit", "t.csv", "--target", "y", "--rule", rule, "--report", "r.html", "--model", "m.json"]) == 0
        out = capsys.readouterr().out
        assert re.search(rf"^ *{re.escape(rule)} +{cv.alpha(rule):.6g} ", out, re.MULTILINE)
        assert "wrote r.html" in out
        page = Page((tmp_path / "r.html").read_text())
        assert any(f"{cv.alpha(rule):.4g}" in row for row in page.rows)
        assert main(["predict", "m.json", "t.csv", "--rule", rule]) == 0
        predicted = np.array(capsys.readouterr().out.split()[1:], dtype=float)
        assert_allclose(predicted, cv.predict(A, rule), rtol=1e-9)
    for wrong, message in ((["--rule", "best"], "rule must be one of"), (["--report", "r.txt"], "must end in .html"),
                           (["--report", "none/r.html"], "its folder does not exist")):
        assert main(["fit", "t.csv", "--target", "y", *wrong]) == 2
        assert message in capsys.readouterr().err
    assert main(["fit", "t.csv", "--target", "y", "--model", "plain.json", "--quiet"]) == 0
    assert main(["predict", "plain.json", "t.csv", "--rule", "alo"]) == 2
    assert "'alo' leaves out rows of the data" in capsys.readouterr().err
