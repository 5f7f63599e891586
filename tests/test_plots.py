"""What a picture says is what the path holds; names and numbers do not lie on each other."""

import itertools
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

matplotlib.use("Agg")
from matplotlib import pyplot as plt

import regfast
from regfast import plots

NAMES = [f"feature_{j}" for j in range(30)]
NAMES[3], NAMES[4] = "_hidden $a^b", "a name that goes on and on and on and on"


@pytest.fixture(scope="module")
def cv():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((90, 30)) * rng.lognormal(size=30)
    y = X[:, :12] @ rng.standard_normal(12) + rng.standard_normal(90)
    result = regfast.fit_cv(X, y, cv=5, tol=1e-9)
    return replace(result, path=replace(result.path, feature_names_in_=np.array(NAMES, dtype=object)))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def axes():
    return Figure(figsize=(7, 5), layout="constrained").subplots()


def named_lines(ax):
    return {line.get_label(): line for line in ax.lines if line.get_label() in NAMES}


def apart(artists, renderer):
    boxes = [Text.get_window_extent(artist, renderer) for artist in artists]  # an annotation's own adds its arrow
    return not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_profiles_are_the_path_on_the_standardised_scale(cv):
    ax = plots.plot_path(cv.path, axes(), n_labels=9)
    drawn = named_lines(ax)
    profiles = cv.path.coefs.toarray() * cv.path.scales[:, None]
    largest = np.argsort(-np.abs(profiles[:, -1]))[:9]
    assert list(drawn) == [NAMES[j] for j in largest]
    for j in largest:
        assert np.array_equal(drawn[NAMES[j]].get_xdata(), np.log10(cv.path.alphas))
        assert np.array_equal(drawn[NAMES[j]].get_ydata(), profiles[j])
    grey = {tuple(segment[:, 1]) for segment in ax.collections[0].get_segments()}
    ever = np.flatnonzero(profiles.any(axis=1))
    assert grey == {tuple(profiles[j]) for j in ever if j not in largest}
    left, right = ax.get_xlim()
    assert left > right, "strong penalty at the left"
    assert "strong penalty ← → weak penalty" in ax.get_xlabel()


def test_labels_are_the_names_at_the_ends_of_their_lines(cv):
    ax = plots.plot_path(cv.path, axes(), n_labels=9)
    drawn = named_lines(ax)
    texts = {label.get_text(): label for label in ax.texts}
    assert set(texts) == {plots._shorten(name) for name in drawn}
    low, high = ax.get_ylim()
    for name, line in drawn.items():
        label = texts[plots._shorten(name)]
        assert label.get_color() == line.get_color()
        assert label.xy == pytest.approx((1, (line.get_ydata()[-1] - low) / (high - low)))


def test_lines_differ_without_colour_and_without_dashes(cv):
    ax = plots.plot_path(cv.path, axes())
    styles = [(line.get_color(), line._dash_pattern) for line in named_lines(ax).values()]
    assert len({str(style) for style in styles}) == len(styles) == 12
    assert len({str(dash) for _, dash in styles}) == 4


@pytest.mark.parametrize("size", [(7, 5), (4, 2.5)])
def test_no_text_lies_on_another(cv, size):
    for figure in (plots.plot_overview(cv, Figure(figsize=(2 * size[0], size[1]))), Figure(figsize=size)):
        if not figure.axes:
            plots.plot_path(cv.path, figure.subplots(), n_labels=30)
        figure.draw_without_rendering()
        renderer = figure._get_renderer()
        for ax in figure.axes:
            assert apart(ax.texts, renderer)
            assert apart(ax.child_axes[0].get_xticklabels(), renderer)
            assert apart([ax.title, ax.child_axes[0].xaxis.label, *ax.child_axes[0].get_xticklabels()], renderer)


def test_the_top_axis_counts_non_zeros(cv):
    for ax in (plots.plot_path(cv.path, axes()), plots.plot_cv(cv, axes())):
        top = ax.child_axes[0]
        top.figure.draw_without_rendering()
        count = dict(zip(np.log10(cv.path.alphas), cv.path.n_nonzero, strict=True))
        shown = [label.get_text() for label in top.get_xticklabels()]
        assert len(shown) >= 4
        assert shown == [str(count[x]) for x in top.get_xticks()]


def test_curve_band_and_marks_are_the_cross_validation(cv):
    ax = plots.plot_cv(cv, axes())
    curve, at_min, at_1se = ax.lines
    assert np.array_equal(curve.get_xdata(), np.log10(cv.path.alphas))
    assert np.array_equal(curve.get_ydata(), cv.score_mean)
    band = ax.collections[0].get_paths()[0].vertices
    for edge in (cv.score_mean - cv.score_se, cv.score_mean + cv.score_se):
        points = np.column_stack([np.log10(cv.path.alphas), edge])
        assert (np.abs(band[:, None] - points[None]).sum(axis=2).min(axis=0) < 1e-12).all()
    for line, name, alpha in ((at_min, "alpha_min", cv.alpha_min), (at_1se, "alpha_1se", cv.alpha_1se)):
        assert set(line.get_xdata()) == {np.log10(alpha)}
        k = list(cv.path.alphas).index(alpha)
        assert line.get_label() == f"{name} = {alpha:.3g}: {cv.path.n_nonzero[k]} features"
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == [at_min.get_label(), at_1se.get_label()]


def test_one_mark_where_both_rules_agree(cv):
    ax = plots.plot_cv(replace(cv, alpha_1se=cv.alpha_min), axes())
    assert [line.get_label().partition(" = ")[0] for line in ax.lines[1:]] == ["alpha_min"]
    assert ax.lines[1].get_label().startswith("alpha_min = alpha_1se = ")


def test_overview_has_both_and_methods_reach_them(cv):
    for figure in (cv.plot(), plots.plot_overview(cv, Figure())):
        left, right = figure.axes
        assert left.get_title() == "Cross-validation (5 folds, lasso)"
        assert right.get_title() == "Coefficients along the path (lasso, largest 12 named)"
        marked = {float(line.get_xdata()[0]) for line in right.lines if len(set(line.get_xdata())) == 1}
        assert marked >= {np.log10(cv.alpha_min), np.log10(cv.alpha_1se)}
    assert set(named_lines(cv.path.plot())) == set(named_lines(plots.plot_path(cv.path)))


def test_edges_of_what_can_be_drawn(cv):
    X = np.random.default_rng(1).standard_normal((20, 3))
    single = regfast.fit_path(X, X[:, 0], alphas=[0.1])
    line = plots.plot_path(single, axes()).lines[1]
    assert line.get_marker() == "o"
    assert line.get_label() == "x0"
    with_zero = regfast.fit_path(X, X[:, 0], alphas=[0.1, 0.01, 0.0])
    ax = plots.plot_path(with_zero, axes())
    assert len(ax.lines[1].get_xdata()) == 2
    assert "(alpha = 0 not drawn)" in ax.get_xlabel()
    empty = regfast.fit_path(X, X[:, 0], alphas=[5.0, 4.0])
    assert not named_lines(plots.plot_path(empty, axes()))
    only_zero = regfast.fit_path(X, X[:, 0], alphas=[0.0])
    with pytest.raises(ValueError, match=r"path: nothing to draw on a logarithmic axis; its alphas are \[0.0\]"):
        plots.plot_path(only_zero, axes())
    with pytest.raises(ValueError, match=r"n_labels must not be negative; got -1"):
        plots.plot_path(cv.path, axes(), n_labels=-1)


def test_missing_matplotlib_is_named(cv, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'regfast\[plot\]'"):
        plots.plot_path(cv.path)


@pytest.mark.parametrize("seed", range(20))
def test_spread_is_the_nearest_arrangement(seed):
    """Against the definition: order and gap kept, and no admissible shift of any label comes nearer."""
    rng = np.random.default_rng(seed)
    ends, gap = rng.random(8), 0.05
    places = plots._spread(ends, gap)
    order = np.argsort(ends)
    assert (np.diff(places[order]) >= gap - 1e-12).all()
    assert places.min() >= 0
    assert places.max() <= 1 + 1e-12
    cost = np.sum((places - ends) ** 2)
    for i, j in itertools.combinations_with_replacement(range(8), 2):
        for step in (-1e-4, 1e-4):
            other = places.copy()
            other[order[i : j + 1]] += step
            if (np.diff(other[order]) >= gap).all() and other.min() >= 0 and other.max() <= 1:
                assert np.sum((other - ends) ** 2) >= cost - 1e-12
