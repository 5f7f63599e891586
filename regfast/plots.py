"""Pictures of paths: coefficient profiles and cross-validation curves (matplotlib).

The horizontal axis is log10(alpha), strong penalty at the left, weak at the right: one reads from the empty
model to the full one. Lines differ in dash as well as in colour (palette of Okabe and Ito), and carry their
names at their ends, so that a black-and-white print says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .cvpath import CVPath
    from .result import Path

Float = npt.NDArray[np.float64]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")  # those dark enough for text on white
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
GREY = "0.75"
X_LABEL = "log10(alpha):  strong penalty ← → weak penalty"
_LABEL_SIZE = 8  # points
_LONGEST = 28  # characters of a name


def plot_path(path: Path, ax: Axes | None = None, *, n_labels: int = 12) -> Axes:
    """Coefficient profiles on the standardised scale (coefficient × standard deviation) against log10(alpha).

    Of several classes the profile of a feature is the length of its coefficients, √Σ_c b_jc²;
    ``plot_path(path.of(label))`` draws those of one class.

    Parameters
    ----------
    path : Path
    ax : matplotlib Axes, optional
        Where to draw; by default a new pyplot figure.
    n_labels : int
        So many features, the largest at the weakest penalty, are drawn in colour and named at the right; the
        others are grey. Fewer are named where the axes are too low for the names.

    Returns
    -------
    Axes
        The label of each line in colour is the name of its feature.

    Raises
    ------
    ValueError
        No positive α to draw, or negative `n_labels`. ImportError: matplotlib is missing.
    """
    if n_labels < 0:
        raise ValueError(f"n_labels must not be negative; got {n_labels}")
    shown = _shown(path)
    ax = _axes(ax)
    x = np.log10(path.alphas[shown])
    rows, quantity = _profiles(path)
    rows = rows[:, shown]
    used = np.flatnonzero(np.diff(rows.indptr))
    profiles = rows[used].toarray() * path.scales[used, None]
    order = np.argsort(-np.abs(profiles[:, -1]), kind="stable")
    chosen = order[: min(n_labels, _room(ax))]
    chosen = chosen[profiles[chosen, -1] != 0]
    others = np.setdiff1d(np.arange(len(used)), chosen)
    marker = "o" if len(x) == 1 else None
    _draw_grey(ax, x, profiles[others], marker)
    ax.axhline(0, color="black", linewidth=0.6, zorder=1)
    lines, names = [], path.names
    for k, i in enumerate(chosen):
        style = DASHES[k % len(DASHES)]  # 5 and 4 are coprime: 20 pairs before one comes back
        lines += ax.plot(x, profiles[i], color=COLOURS[k % len(COLOURS)], linestyle=style, marker=marker)
        lines[-1].set(label=str(names[used[i]]), linewidth=1.4, markersize=4, zorder=3)
    _finish(ax, path, shown)
    _label_ends(ax, lines)
    ax.set_ylabel(f"{quantity} × standard deviation of its column")
    which = f", largest {len(lines)} named" if len(lines) < len(used) else ""
    ax.set_title(f"Coefficients along the path ({_penalty(path.l1_ratio)}{which})")
    return ax


def plot_cv(cv: CVPath, ax: Axes | None = None) -> Axes:
    """Cross-validation score against log10(alpha), a band of one standard error, alpha_min and alpha_1se.

    Parameters
    ----------
    cv : CVPath
    ax : matplotlib Axes, optional
        Where to draw; by default a new pyplot figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        No positive α to draw. ImportError: matplotlib is missing.
    """
    path = cv.path
    shown = _shown(path)
    ax = _axes(ax)
    x = np.log10(path.alphas[shown])
    mean, se = cv.score_mean[shown], cv.score_se[shown]
    ax.fill_between(x, mean - se, mean + se, color=GREY, linewidth=0, label="± 1 standard error")
    ax.plot(
        x,
        mean,
        color=COLOURS[0],
        marker="o",
        markersize=2.5,
        linewidth=1.2,
        label=f"mean of {cv.n_folds} folds",
    )
    marks = [
        ("alpha_min", cv.alpha_min, DASHES[1], "black"),
        ("alpha_1se", cv.alpha_1se, DASHES[2], COLOURS[1]),
    ]
    if cv.alpha_min == cv.alpha_1se:
        marks = [("alpha_min = alpha_1se", *marks[0][1:])]
    for name, alpha, dash, colour in marks:
        if alpha > 0:
            k = int(np.searchsorted(-path.alphas, -alpha))
            text = f"{name} = {alpha:.3g}: {_features(int(path.n_nonzero[k]))}"
            ax.axvline(float(np.log10(alpha)), color=colour, linestyle=dash, linewidth=1.2, label=text)
    _finish(ax, path, shown)
    ax.margins(y=0.08)
    score = f"mean {families.get(path.family).measure}" if cv.scoring == "deviance" else cv.scoring
    ax.set_ylabel(f"{score}, held-out rows")
    ax.set_title(f"Cross-validation ({cv.n_folds} folds, {_penalty(path.l1_ratio)})")
    ax.legend(fontsize=_LABEL_SIZE, loc="best", framealpha=1)
    return ax


def plot_overview(cv: CVPath, fig: Figure | None = None) -> Figure:
    """The cross-validation curve beside the coefficient profiles.

    Parameters
    ----------
    cv : CVPath
    fig : matplotlib Figure, optional
        An empty figure; by default a new pyplot figure. `matplotlib.figure.Figure` needs no display.

    Returns
    -------
    Figure
        With two axes, the curve first. The chosen α's are marked in both.
    """
    if fig is None:
        fig = _pyplot().figure(figsize=(12, 5))
    fig.set_layout_engine("constrained")
    left, right = fig.subplots(1, 2)
    plot_cv(cv, left)
    plot_path(cv.path, right)
    for alpha, dash, colour in ((cv.alpha_min, DASHES[1], "black"), (cv.alpha_1se, DASHES[2], COLOURS[1])):
        if alpha > 0:
            right.axvline(float(np.log10(alpha)), color=colour, linestyle=dash, linewidth=1, zorder=2)
    return fig


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as err:
        raise ImportError("matplotlib is not installed; pip install 'regfast[plot]' brings it") from err
    return pyplot


def _axes(ax: Axes | None) -> Axes:
    new: Axes = _pyplot().subplots(figsize=(7, 5), layout="constrained")[1] if ax is None else ax
    return new


def _shown(path: Path) -> npt.NDArray[np.intp]:
    """Positions of the α's that have a logarithm."""
    shown = np.flatnonzero(path.alphas > 0)
    if not shown.size:
        raise ValueError(f"path: nothing to draw on a logarithmic axis; its alphas are {path.alphas.tolist()}")
    return shown


def _profiles(path: Path) -> tuple[Any, str]:
    """What a feature's line shows, (p, n_alphas) by row, and what it is called."""
    if not isinstance(path.coefs, list):
        return path.coefs.tocsr(), "coefficient"
    return sum(part * part for part in path.coefs).tocsr().sqrt(), f"length of the {len(path.coefs)} coefficients"


def _penalty(l1_ratio: float) -> str:
    names = {1.0: "lasso", 0.0: "ridge"}
    return names.get(l1_ratio, f"elastic net, l1_ratio = {l1_ratio:g}")


def _features(count: int) -> str:
    return f"{count} feature{'' if count == 1 else 's'}"


def _shorten(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _draw_grey(ax: Axes, x: Float, profiles: Float, marker: str | None) -> None:
    """Any number of unlabelled profiles as one artist: thousands of Line2D take seconds."""
    if not len(profiles):
        return
    from matplotlib.collections import LineCollection

    segments = [np.column_stack([x, row]) for row in profiles]
    ax.add_collection(LineCollection(segments, colors=GREY, linewidths=0.7, zorder=1))
    if marker is not None:
        ax.plot(
            np.repeat(x, len(profiles)),
            profiles[:, 0],
            marker,
            color=GREY,
            markersize=3,
            linestyle="",
            zorder=1,
        )


def _finish(ax: Axes, path: Path, shown: npt.NDArray[np.intp]) -> None:
    """The α axis, running from strong to weak, and the number of non-zeros above it."""
    x = np.log10(path.alphas[shown])
    ax.autoscale_view()
    pad = 0.02 * (x[0] - x[-1]) if len(x) > 1 else 0.5
    ax.set_xlim(float(x[0] + pad), float(x[-1] - pad))
    without = "  (alpha = 0 not drawn)" if len(shown) < len(path.alphas) else ""
    ax.set_xlabel(X_LABEL + without)
    top = ax.secondary_xaxis("top")
    ticks = [0]
    for k in range(1, len(x)):  # at grid points, but at most about eight and never close together
        if x[ticks[-1]] - x[k] >= 0.12 * (x[0] - x[-1]):
            ticks.append(k)
    top.set_xticks(x[ticks], labels=[str(path.n_nonzero[shown[k]]) for k in ticks], fontsize=_LABEL_SIZE)
    count = "features with a non-zero coefficient" if path.outputs != [None] else "non-zero coefficients"
    top.set_xlabel(f"number of {count}", fontsize=_LABEL_SIZE + 1)


def _room(ax: Axes) -> int:
    """How many labels fit, one above the other."""
    return max(1, int(1 / _spacing(ax)))


def _spacing(ax: Axes) -> float:
    """The height of a label as a fraction of the axes; the layout may yet shrink them, hence the 1.6."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    height = ax.get_position().height * figure.get_size_inches()[1] * 72
    return float(1.6 * _LABEL_SIZE / height)


def _label_ends(ax: Axes, lines: list[Any]) -> None:
    """Each line's name at the right edge, beside its end, pushed up or down as far as the others ask."""
    low, high = ax.get_ylim()
    ends = np.array([(float(line.get_ydata()[-1]) - low) / (high - low) for line in lines])
    places = _spread(ends, _spacing(ax))
    leader = {"arrowstyle": "-", "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 1}
    for line, end, place in zip(lines, ends, places, strict=True):
        colour = line.get_color()
        label = ax.annotate(_shorten(str(line.get_label())), (1, end), (1.05, place), xycoords="axes fraction",
                            arrowprops={**leader, "color": colour}, annotation_clip=False)
        label.set(color=colour, fontsize=_LABEL_SIZE, va="center", ha="left", parse_math=False)


def _spread(ends: Float, gap: float) -> Float:
    """Places in [0, 1] in the order of `ends`, `gap` apart, as near to them as least squares allows.

    With u_i = place_i − i·gap the constraint is that u rises: isotonic regression, by pooling violators.
    """
    order = np.argsort(ends, kind="stable")
    pools: list[list[float]] = []  # mean, count
    for i, end in enumerate(ends[order]):
        pools.append([float(end) - i * gap, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            total = pools[-1][1] + count
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * count) / total, total]
    u = np.repeat([mean for mean, _ in pools], [int(count) for _, count in pools])
    u = np.clip(u, 0, max(0.0, 1 - (len(ends) - 1) * gap))
    places = np.empty(len(ends))
    places[order] = u + gap * np.arange(len(ends))
    return places
