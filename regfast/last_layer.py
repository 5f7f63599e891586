"""The exact elastic-net path of a network's last layer, its features frozen, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import nn

from . import families
from .blas import single_threaded
from .errors import attach
from .path import fit_path
from .proximal import is_model
from .result import Path
from .validation import Float

ROWS = 1024  # at least, between two factorisations


def last_layer_path(model: nn.Module, loader: Iterable[Any], *, layer: nn.Module | str | None = None,
                    family: str | families.Family = "gaussian", fit_intercept: bool = True, standardize: bool = True,
                    eps: float | None = None, **how: Any) -> Path:
    """Elastic-net path of a network's last layer on the features that the rest of it computes, with certificates.

    For squared error ("gaussian", "multigaussian") rows are read once and forgotten: all that is kept of n rows of p
    features and C targets is a triangle of (1 + p + C)² numbers, whatever n is. **Other families need the rows** in
    every step: their features are gathered, n·p numbers of the precision that the network computes in.

    Parameters
    ----------
    model : torch.nn.Module
        Evaluated without gradients and with `model.eval()`; left in the modes it was in.
    loader : iterable of (inputs, targets)
        As a `DataLoader` gives them; inputs are one tensor, a sequence for `model(*inputs)` or a mapping for
        `model(**inputs)`. The order of rows does not matter.
    layer : torch.nn.Module or str, optional
        The layer to solve for, or its name in the network: its input, (batch, p), are the features. None: the
        `torch.nn.Linear` that was registered last.
    family : str or Family
        As in `fit_path`; targets are what it takes as y: numbers, labels, or (batch, C) responses.
    fit_intercept, standardize : bool
    eps : float, optional
        As in `fit_path`.
    **how
        `l1_ratio`, `alphas`, `n_alphas`, `penalty_factors`, `group_classes`, `tol`, `max_iter`, `early_stop`,
        `progress` of `fit_path`.

    Returns
    -------
    Path
        A `MultiPath` for several classes or responses; `n_passes` counts reads of what was kept. To put α's solution
        into the layer, copy `coef_at(α)` to its weight and `intercept_at(α)` to its bias.

    Raises
    ------
    ValueError
        No such layer, no rows, targets that do not fit; features that are not finite.

    Notes
    -----
    QR factorisations of the triangle with the next rows below it (TSQR) give the triangle R of all rows [1, H, Y], H
    less its first row. Its rows but the first are those of the centred data, R'R = Σ (x − m)(x − m)' for them, so that
    the engine solves, and certifies, the same problem on 1 + p + C rows at most. No Gram is formed: nothing is squared,
    and collinear features keep their digits.
    """
    refused = set(how) & {"sample_weight", "offset", "bounds"}
    if refused:
        raise TypeError(f"last_layer_path has no {', '.join(sorted(refused))}: its rows count once each, as they are")
    where = find(is_model(model), layer)
    likelihood = families.get(family)
    pairs = features(model, where, loader)
    if likelihood.name not in ("gaussian", "multigaussian"):
        H, Y = gather(pairs)
        return fit_path(H, Y, family=family, fit_intercept=fit_intercept, standardize=standardize, eps=eps, **how)
    triangle = Triangle(centred=fit_intercept)
    for H, Y in pairs:
        triangle.add(H, Y)
    return triangle.fit(several=likelihood.name == "multigaussian", standardize=standardize, eps=eps,
                        family=family, **how)


def find(model: nn.Module, layer: nn.Module | str | None) -> nn.Module:
    """The layer to solve for."""
    named = dict(model.named_modules())
    if isinstance(layer, str) and layer in named:
        return named[layer]
    if isinstance(layer, nn.Module) and any(module is layer for module in named.values()):
        return layer
    linear = [module for module in named.values() if isinstance(module, nn.Linear)]
    if layer is not None:
        raise ValueError(f"layer must be a module of the model or its name; got {layer!r}")
    if not linear:
        raise ValueError("layer must be given: the model has no torch.nn.Linear")
    return linear[-1]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """eval() and no gradients; every module back in its mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def features(model: nn.Module, layer: nn.Module, loader: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """(features (b, p), targets) of each batch, as NumPy arrays."""
    seen: list[Any] = []
    hook = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    first = next(model.parameters(), torch.zeros(()))
    try:
        for batch in loader:
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                raise ValueError("loader must give pairs (inputs, targets); got "
                                 f"{len(batch) if isinstance(batch, (tuple, list)) else type(batch).__name__}")
            inputs, targets = batch
            seen.clear()
            with evaluating(model):
                call(model, inputs, first.device)
            if len(seen) != 1 or seen[0].ndim != 2:
                raise ValueError("layer must see one (batch, p) tensor in each pass through the model; got "
                                 f"{[tuple(x.shape) for x in seen]}")
            H, Y = as_array(seen[0]), as_array(targets)
            if len(H) != len(Y):
                raise ValueError(f"loader must give as many targets as inputs; got {len(Y)} for {len(H)} rows")
            if not np.isfinite(H).all():
                raise ValueError("features must be finite; the model gave NaN or infinity")
            yield H, Y
    finally:
        hook.remove()


def call(model: nn.Module, inputs: Any, device: Any) -> None:
    """The model at inputs of one of the three forms, moved to where it is."""
    if isinstance(inputs, Mapping):
        model(**{name: x.to(device) for name, x in inputs.items()})
    elif isinstance(inputs, (tuple, list)):
        model(*(x.to(device) for x in inputs))
    else:
        model(inputs.to(device))


def as_array(x: Any) -> NDArray[Any]:
    if not isinstance(x, torch.Tensor):
        return np.asarray(x)
    x = x.detach().cpu()
    return np.asarray((x.float() if x.dtype in (torch.float16, torch.bfloat16) else x).numpy())


def gather(pairs: Iterator[tuple[Any, Any]]) -> tuple[Any, Any]:
    parts = list(pairs)
    if not parts:
        raise ValueError("loader must give at least one batch; got none")
    H, Y = zip(*parts, strict=True)
    return np.concatenate(H), np.concatenate(Y)


class Triangle:
    """R of [1, H, Y] = QR for rows that come in batches."""

    def __init__(self, *, centred: bool) -> None:
        self.centred, self.n, self.p = centred, 0, 0
        self.shift: Float | None = None  # a row that all others are taken relative to: constant columns become zeros
        self.R: Float | None = None
        self.waiting: list[Float] = []

    def add(self, H: NDArray[Any], Y: NDArray[Any]) -> None:
        """More rows, (b, p) and (b,) or (b, C)."""
        Y = Y[:, None] if Y.ndim == 1 else Y
        if Y.ndim != 2 or Y.dtype.kind not in "biuf" or not np.isfinite(Y).all():
            raise ValueError(f"targets must be finite numbers, (batch,) or (batch, C); got {Y.dtype}, shape {Y.shape}")
        rows = np.concatenate([H, Y], axis=1, dtype=np.float64)
        if not len(rows):
            return
        if self.shift is None:
            self.p, self.shift = H.shape[1], rows[0]
        if (H.shape[1], rows.shape[1]) != (self.p, len(self.shift)):
            raise ValueError(f"every batch must have {self.p} features and {len(self.shift) - self.p} targets; "
                             f"got {H.shape[1]} and {Y.shape[1]}")
        self.n += len(rows)
        self.waiting.append(np.column_stack([np.ones(len(rows)), rows - self.shift]))
        if sum(map(len, self.waiting)) >= max(ROWS, rows.shape[1]):
            self.settle()

    def settle(self) -> None:
        """Work the waiting rows into R."""
        if self.waiting:
            with single_threaded():
                known = [] if self.R is None else [self.R]
                self.R = np.asarray(np.linalg.qr(np.concatenate([*known, *self.waiting]), mode="r"))
            self.waiting = []

    def fit(self, *, several: bool, standardize: bool, eps: float | None, **how: Any) -> Path:
        """The path of the rows so far."""
        self.settle()
        if self.R is None or self.shift is None:
            raise ValueError("loader must give at least one row; got none")
        p, n = self.p, self.n
        if not several and len(self.shift) != p + 1:
            raise ValueError(f"family='gaussian' takes one target; got {len(self.shift) - p}: 'multigaussian' takes "
                             "several")
        mean = self.shift + self.R[0, 1:] / self.R[0, 0]
        sd = np.sqrt(np.square(self.R[1:, 1:1 + p]).sum(0) / n)
        scale = np.where(sd > 0, sd, 1.0) if standardize else np.ones(p)
        rows = self.R[:, 1:].copy()
        rows[0] = 0 if self.centred else self.R[0, 0] * mean  # an intercept fits the mean; without, it is a row
        rows *= np.sqrt(len(rows) / n)
        rows[:, :p] /= scale
        y = rows[:, p:] if several else rows[:, p]

        def restored(path: Path) -> Path:  # on the scale of the features, about their means
            back = sp.diags_array(1 / scale)
            coefs = [sp.csc_array(back @ part) for part in (path.coefs if several else [path.coefs])]
            b0 = np.array([mean[p + c] - part.T @ mean[:p] for c, part in enumerate(coefs)]) * self.centred
            return replace(path, coefs=coefs if several else coefs[0], intercepts=b0 if several else b0[0],
                           fit_intercept=self.centred, standardize=standardize, scales=sd, n_samples=n)

        try:
            return restored(fit_path(rows[:, :p], y, fit_intercept=False, standardize=False,
                                     eps=(1e-2 if n < p else 1e-4) if eps is None else eps, **how))
        except KeyboardInterrupt as interrupt:
            if (partial := vars(interrupt).get("partial")) is not None:
                attach(interrupt, restored(partial), instead=True)
            raise
