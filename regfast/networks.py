"""Sparse networks: what is zero in one, and warm-started paths over the strength."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from . import validation as check
from .errors import attach
from .prox import Tensor
from .proximal import STRONGEST, Prox, is_model, layers

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class LayerSparsity:
    """What is zero in one weight tensor."""

    name: str
    shape: tuple[int, ...]
    n_weights: int
    n_zero: int
    n_outputs: int
    dead_outputs: int  # all of whose incoming weights are zero
    n_inputs: int
    dead_inputs: int  # that no output uses


@dataclass(frozen=True)
class Sparsity:
    """What is zero in a network's weights, layer by layer; prints as a table.

    Attributes
    ----------
    layers : list of LayerSparsity
        `name`, `shape`, `n_weights`, `n_zero`, `n_outputs`, `dead_outputs`, `n_inputs`, `dead_inputs` of each weight
        tensor; biases and normalisation layers are not counted.
    """

    layers: list[LayerSparsity]

    @property
    def n_weights(self) -> int:
        return sum(layer.n_weights for layer in self.layers)

    @property
    def n_zero(self) -> int:
        return sum(layer.n_zero for layer in self.layers)

    @property
    def n_nonzero(self) -> int:
        return self.n_weights - self.n_zero

    @property
    def dead_outputs(self) -> int:
        return sum(layer.dead_outputs for layer in self.layers)

    def __repr__(self) -> str:
        rows = [("layer", "shape", "weights", "zero", "", "dead outputs", "dead inputs")]
        rows += [(x.name, "×".join(map(str, x.shape)), f"{x.n_weights}", f"{x.n_zero}", share(x.n_zero, x.n_weights),
                  f"{x.dead_outputs} of {x.n_outputs}", f"{x.dead_inputs} of {x.n_inputs}") for x in self.layers]
        rows += [("all", "", f"{self.n_weights}", f"{self.n_zero}", share(self.n_zero, self.n_weights), "", "")]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in
                                   enumerate(zip(row, wide, strict=True))).rstrip() for row in rows)

    def to_frame(self) -> DataFrame:
        """A row for each layer, as a pandas DataFrame."""
        from pandas import DataFrame

        return DataFrame([vars(layer) for layer in self.layers])


def share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def sparsity(model: nn.Module) -> Sparsity:
    """Count the exact zeros of a network's weights.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    Sparsity
        An output (neuron, channel) is dead when all weights into it are zero, an input when all weights out of it
        are; of a convolution in groups the inputs are those of one group.
    """
    return Sparsity([count(layer.name, layer.weight.detach(), layer.dim) for layer in layers(is_model(model))])


def count(name: str, weight: Tensor, dim: int) -> LayerSparsity:
    used = (weight != 0).movedim(dim, 0).flatten(2) if weight.ndim > 2 else (weight != 0).movedim(dim, 0)[..., None]
    used = used.any(2)  # (outputs, inputs)
    return LayerSparsity(name, tuple(weight.shape), weight.numel(), int((weight == 0).sum()),
                         used.shape[0], int((~used.any(1)).sum()), used.shape[1], int((~used.any(0)).sum()))


@dataclass(frozen=True, eq=False, repr=False)
class NetworkPath:
    """Networks trained one after the other, at one strength each.

    Attributes
    ----------
    alphas : (k,) float64
        In the order of training.
    scores : list
        What the training function returned at each.
    n_nonzero : (k,) int64
        Weights that are not zero.
    sparsity : list of Sparsity
    states : list of dict
        The network's `state_dict` at each, copied to the CPU.
    """

    alphas: np.ndarray[Any, np.dtype[np.float64]]
    scores: list[Any] = field(default_factory=list)
    sparsity: list[Sparsity] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.alphas)

    def __repr__(self) -> str:
        if not len(self):
            return "NetworkPath(no alphas trained)"
        n = self.n_nonzero
        return (f"NetworkPath({len(self)} alphas from {self.alphas[0]:.4g} to {self.alphas[-1]:.4g}, {n[0]} to {n[-1]} "
                f"of {self.sparsity[0].n_weights} weights non-zero)")

    @property
    def n_nonzero(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([each.n_nonzero for each in self.sparsity], dtype=np.int64)

    def restore(self, model: nn.Module, alpha: float) -> None:
        """Give a network the weights that it had at one of `alphas` (the last time, if there were several)."""
        at = np.flatnonzero(self.alphas == alpha)
        if not at.size:
            raise ValueError(f"alpha must be one of the path's {len(self)}; got {alpha!r}, the nearest is "
                             f"{min(self.alphas.tolist(), key=lambda a: abs(a - alpha))!r}")
        is_model(model).load_state_dict(self.states[at[-1]])

    def to_frame(self) -> DataFrame:
        """alpha, n_nonzero, dead_outputs and score of each network, as a pandas DataFrame."""
        from pandas import DataFrame

        return DataFrame({"alpha": self.alphas, "n_nonzero": self.n_nonzero,
                          "dead_outputs": [each.dead_outputs for each in self.sparsity], "score": self.scores})


def prox_path(model: nn.Module, prox: Prox, train: Callable[[], Any], alphas: Iterable[float]) -> NetworkPath:
    """Train a network at one strength after another, each from where the last one ended.

    From small strengths to large ones it goes from dense to sparse. Back again is possible but poorer: a weight that is
    zero because a layer behind it is zero has no gradient, so a unit that is dead on both sides stays dead, and a
    network of zeros stays one.

    Parameters
    ----------
    model : torch.nn.Module
    prox : Prox
        Wraps the optimizer of its weights; its `alpha` is set before each call of `train`.
    train : callable
        Trains for as long as it sees fit, without arguments; what it returns (a score) is kept.
    alphas : iterable of float
        In the order of training.

    Returns
    -------
    NetworkPath

    Raises
    ------
    KeyboardInterrupt
        With the path so far as its attribute `partial`.
    """
    is_model(model)
    if not isinstance(prox, Prox):
        raise TypeError(f"prox must be a regfast.torch.Prox; got {type(prox).__name__}")
    if not callable(train):
        raise TypeError(f"train must be callable; got {train!r}")
    grid = np.array([check.number("alphas", alpha, 0, STRONGEST) for alpha in alphas], dtype=np.float64)
    if not grid.size:
        raise ValueError("alphas must hold at least one strength; got none")
    path = NetworkPath(grid[:0])
    for k, alpha in enumerate(grid.tolist()):
        prox.alpha = alpha
        try:
            score = train()
        except KeyboardInterrupt as interrupt:
            attach(interrupt, path)
            raise
        state = deepcopy({name: x.cpu() if hasattr(x, "cpu") else x for name, x in model.state_dict().items()})
        path = NetworkPath(grid[:k + 1], [*path.scores, score], [*path.sparsity, sparsity(model)],
                           [*path.states, state])
    return path
