"""Exact leave-one-out errors of ridge, every row and every α, from one spectrum.

Leaving row i out changes its residual e_i to e_i / (1 − h_i), h_i its leverage (Golub, Heath & Wahba, 1979). With
T = AV, h = T² 1/(d + α) plus what the intercept and free columns have of the row; where A is wide, e = αc and
1 − h = α V² 1/(d + α) have no difference in them. Either way all α's share one product.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .factors import Spectrum
from .standard_form import StandardForm
from .validation import Float


def errors(form: StandardForm, spectrum: Spectrum, Y: Float, alphas: Float) -> Iterator[tuple[slice, Float]]:
    """(rows, (m, T, k) √w (y − what the fit without the row predicts)) of T responses Y (see `solve`), k strengths."""
    V, shrink = spectrum.vectors, 1 / (spectrum.values[:, None] + alphas)  # (m, k)
    turned = V.T @ (Y if form.wide else form.adjoint(Y))
    fits = (turned[:, :, None] * shrink[:, None, :]).reshape(len(turned), Y.shape[1] * len(alphas))
    for at, tile in rows(form, V):
        e, rest = (tile @ fits).reshape(len(tile), Y.shape[1], -1), (tile * tile) @ shrink
        if not form.wide:
            e, rest = Y[at][:, :, None] - e, 1 - (form.Q[at] ** 2).sum(1)[:, None] - rest
        yield at, e / np.maximum(rest, np.finfo(float).tiny)[:, None, :]


def rows(form: StandardForm, V: Float) -> Iterator[tuple[slice, Float]]:
    """A's rows in the basis V; V's own where A is wide."""
    if form.wide:
        yield from ((at, V[at]) for at in form.steps(form.n))
    else:
        yield from ((at, tile @ V) for at, tile in form.tiles())
