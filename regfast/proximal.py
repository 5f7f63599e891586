"""Penalties that reach exact zero in a network: the proximal map after each step of an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from . import validation as check
from .prox import Penalty, Tensor, make
from .steps import Metric, metric_of, settle

NORMS = (nn.LayerNorm, nn.RMSNorm)  # (those of the other normalisations have one dimension, like biases)
REVERSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Embedding, nn.EmbeddingBag)
UNITS = ("output", "input")
STRONGEST = 1e30  # float32 ends at 1e38


class Layer(NamedTuple):
    """A weight tensor of a network that a penalty is for."""

    name: str
    weight: Tensor
    dim: int  # along which its output units are counted
    parts: int  # into which a grouped convolution falls: the other dimension is counted within each

    def along(self, unit: str) -> int:
        """The dimension that counts units of that kind."""
        dim = self.dim if unit == "output" else 1 - self.dim
        if dim and self.parts > 1:
            raise ValueError(f"unit={unit!r}: {self.name} is a convolution in {self.parts} groups, each of which "
                             f"numbers its {unit} channels anew; give its weights penalty_factor 0, or no such unit")
        return dim


def layers(model: nn.Module) -> list[Layer]:
    """The weights of a network, each once: neither biases nor scales of normalisation layers."""
    found: dict[Tensor, Layer] = {}
    for prefix, module in model.named_modules():
        for name, p in module.named_parameters(recurse=False):
            if nn.parameter.is_lazy(p):
                raise ValueError(f"model must have seen a batch: {prefix}.{name} has no shape yet")
            if p.ndim > 1 and not name.startswith("bias") and not isinstance(module, NORMS):
                full = f"{prefix}.{name}".strip(".")
                found.setdefault(p, Layer(full, p, int(isinstance(module, REVERSED)), getattr(module, "groups", 1)))
    return list(found.values())


def check_unit(unit: str) -> str:
    if unit not in UNITS:
        raise ValueError(f"unit must be 'output' or 'input'; got {unit!r}")
    return unit


def is_model(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    return model


def penalty(model: nn.Module, alpha: float, *, l1_ratio: float = 1.0, penalty: str = "elasticnet",
            unit: str = "output", within: float = 0.5, gamma: float = 3.0) -> Tensor:
    """The penalty of a network's weights, as a term to report or to add to a loss.

    Added to a loss its subgradient makes weights small and **never zero**: for that see `Prox`, which minimises the
    same objective.

    Parameters
    ----------
    model : torch.nn.Module
    alpha, l1_ratio, penalty, unit, within, gamma
        As in `Prox`.

    Returns
    -------
    Tensor
        A differentiable scalar, in units of the mean loss.

    Examples
    --------
    >>> import torch, regfast.torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, -4.0]]))
    >>> round(regfast.torch.penalty(layer, 0.1, l1_ratio=0.5).item(), 3)  # 0.1 (0.5 · 7 + 0.25 · 25)
    0.975
    """
    alpha = check.number("alpha", alpha, 0, STRONGEST)
    kind = make(penalty, l1_ratio=l1_ratio, within=within, gamma=gamma)
    check_unit(unit)
    parts = [kind.value(layer.weight, alpha, layer.along(unit) if kind.grouped else 0)
             for layer in layers(is_model(model))]
    return torch.stack(parts).sum() if parts else torch.zeros(())


class Prox(Optimizer):  # schedulers ask for one
    """An optimizer whose steps end with the proximal map of a penalty, so that weights become exactly zero.

    With its step per unit of gradient, h (lr for SGD, lr/(√v̂ + ε) for each weight of Adam), it minimises

        mean loss + α Σ_w [ l1_ratio·K(w) + (1 − l1_ratio)/2 ‖w‖² ]

    by w ← argmin_x Σ_j (x_j − w_j)²/(2 h_j) + penalty(x) after every step of the optimizer that it wraps. K is Σ|w_j|,
    or what `penalty` says. Biases, scales of normalisation layers and weights without a gradient are left alone.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        SGD, Adam, AdamW, NAdam, RAdam, Adamax, Adagrad or RMSprop, or another one with its `metric`. A parameter group
        may hold a "penalty_factor" that multiplies alpha: 0 frees its weights, inf makes them zero.
        Mind AdamW's own weight_decay, 0.01 by default: it is another L2 penalty, outside this objective.
    alpha : float
        The strength, per mean loss as everywhere in regfast: `loss` must be a mean over rows. An attribute that may be
        changed between steps.
    l1_ratio : float in [0, 1]
    penalty : {"elasticnet", "group", "sparse_group", "mcp"}
        K = Σ|w_j|; Σ_g √m_g ‖w_g‖₂ over units of m_g weights; `within` of the first and 1 − `within` of the second; the
        minimax concave penalty, |w| − w²/(2γλ) with λ = α·l1_ratio, level beyond γλ, which is not convex and does not
        shrink large weights.
    unit : {"output", "input"}
        What a group is: the weights into an output neuron or channel, or those out of an input.
    within : float in [0, 1]
        Share of the L1 part of "sparse_group".
    gamma : float > 0
        Where "mcp" is level; large values are near L1.
    model : torch.nn.Module, optional
        Says which weights are of normalisation layers, and which count their outputs along dimension 1 (transposed
        convolutions, embeddings). Without it, every parameter of two or more dimensions is a weight whose outputs are
        counted along dimension 0.
    metric : callable, optional
        f(state, group, parameter) → h, for an optimizer whose class is not known here: how far its last step moved each
        weight per unit of gradient, a number or a tensor. Called once after each step.

    Raises
    ------
    TypeError
        The metric of the optimizer is not known.
    ValueError
        An argument is not what it must be; the message names it.

    Notes
    -----
    The threshold of Adam is lr·α/(√v̂ + ε), one for each weight (Yun, Lozano & Yang 2021). lr·α in its place, or adding
    α‖w‖₁ to the loss, ends elsewhere: the first at the solution of another penalty, the second without a zero. With
    momentum, SGD's h is lr times the weight of past gradients in its buffer, lr/(1 − momentum) in the end.

    Schedulers, parameter groups, closures and `torch.amp.GradScaler` take this object as they take the one it wraps;
    schedulers may be given either. Call `step` of this one: that of the wrapped optimizer applies no penalty. Its
    `state_dict` is that of the wrapped optimizer and an entry "prox"; `load_state_dict` also takes one without.

    Examples
    --------
    >>> import torch, regfast.torch
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = regfast.torch.Prox(torch.optim.Adam(model.parameters(), lr=0.01), alpha=0.1)
    >>> model(torch.ones(2, 3)).square().mean().backward()
    >>> _ = optimizer.step()
    """

    optimizer: Any
    kind: Penalty
    unit: str
    dims: dict[Any, int | None] | None  # of all parameters of the model, if there is one: None for what is left alone
    metric: Metric

    def __init__(self, optimizer: Optimizer, alpha: float, *, l1_ratio: float = 1.0, penalty: str = "elasticnet",
                 unit: str = "output", within: float = 0.5, gamma: float = 3.0, model: nn.Module | None = None,
                 metric: Metric | None = None) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a torch.optim.Optimizer; got {type(optimizer).__name__}")
        if metric is not None and not callable(metric):
            raise TypeError(f"metric must be callable or None; got {metric!r}")
        kind = make(penalty, l1_ratio=l1_ratio, within=within, gamma=gamma)
        check_unit(unit)
        dims = None
        if model is not None:
            dims = dict.fromkeys(is_model(model).parameters())
            dims |= {layer.weight: layer.along(unit) if kind.grouped else 0 for layer in layers(model)}
        # what unpickling does: hooks and profiling as in any optimizer, but groups and state are those of the wrapped
        self.__setstate__({"optimizer": optimizer, "kind": kind, "unit": unit, "dims": dims,
                           "metric": metric or metric_of(optimizer)})
        self.alpha = alpha
        settle(optimizer)
        for group in optimizer.param_groups:
            self._check_group(group)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*Prox.__annotations__, "_alpha")}

    def __repr__(self) -> str:
        return f"Prox(alpha={self.alpha:g}, {self.kind}, {self.optimizer!r})"

    @property
    def alpha(self) -> float:
        """The strength."""
        return self._alpha

    @alpha.setter
    def alpha(self, alpha: float) -> None:
        self._alpha = check.number("alpha", alpha, 0, STRONGEST)

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:
        return self.optimizer.state

    @property
    def defaults(self) -> Any:
        return self.optimizer.defaults

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the wrapped optimizer, then the proximal map; returns the loss of `closure`."""
        loss = self.optimizer.step() if closure is None else self.optimizer.step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                alpha = self._strength(group)
                for p in group["params"]:
                    dim = self._dim(p)
                    if dim is not None and p.grad is not None:
                        self._map(p, self.metric(self.state.get(p, {}), group, p), alpha, dim)
        return loss

    def _map(self, p: Tensor, h: Any, alpha: float, dim: int) -> None:
        if alpha == float("inf"):
            p.zero_()
        elif alpha and (isinstance(h, torch.Tensor) or h):  # lr = 0 moves nothing
            fine = torch.promote_types(p.dtype, torch.float32)
            if isinstance(h, torch.Tensor):
                h = h.to(fine)
            p.copy_(self.kind.prox(p.to(fine), h, alpha, dim))

    def _dim(self, p: Tensor) -> int | None:
        """Along which the units of a weight are counted; None for what is left alone."""
        default = 0 if self.unit == "output" else 1
        return (default if p.ndim > 1 else None) if self.dims is None else self.dims.get(p)

    def _strength(self, group: dict[str, Any]) -> float:
        factor = float(group.get("penalty_factor", 1.0))
        return factor if factor in (0, float("inf")) else self.alpha * factor

    def _check_group(self, group: dict[str, Any]) -> None:
        check.number("penalty_factor", group.get("penalty_factor", 1.0), 0, float("inf"))
        for p in group["params"]:
            if p.is_complex():
                raise TypeError(f"parameters must be real; got one of {p.dtype} and shape {tuple(p.shape)}")
            if self.dims is not None and p not in self.dims:
                raise ValueError(f"the optimizer has a parameter of shape {tuple(p.shape)} that model does not have")

    def penalty(self) -> Tensor:
        """The penalty of the weights as they are, with the groups' factors: what `step` adds to the mean loss."""
        parts = [self.kind.value(p, alpha, dim) for group in self.param_groups
                 if 0 < (alpha := self._strength(group)) < float("inf")  # (weights of strength inf are zero)
                 for p in group["params"] if (dim := self._dim(p)) is not None]
        return torch.stack(parts).sum() if parts else torch.zeros(())

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.optimizer.add_param_group(param_group)
        self._check_group(self.param_groups[-1])

    def state_dict(self) -> dict[str, Any]:
        own = {"alpha": self.alpha, "penalty": self.kind.name, **vars(self.kind)}
        return {**self.optimizer.state_dict(), "prox": own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = state_dict.get("prox")
        if own is not None:
            self.alpha = own["alpha"]
            self.kind = make(own["penalty"], l1_ratio=own["l1_ratio"], within=own.get("within", 0.5),
                             gamma=own.get("gamma", 3.0))
        self.optimizer.load_state_dict({key: value for key, value in state_dict.items() if key != "prox"})
        settle(self.optimizer)
