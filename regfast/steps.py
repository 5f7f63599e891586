"""The metric of an optimizer: how far its last step moved a weight per unit of gradient.

Near a stationary point each step is w ← w − h∘(mean gradient), h a number (SGD) or one for each weight (Adam). A
penalty that is applied by its proximal map must use that h; it is read from the optimizer's state after the step.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

from torch import optim

Step = Any  # a number, or a tensor of the weight's shape
State = dict[str, Any]
Metric = Callable[[State, dict[str, Any], Any], Step]

CARRIED = "gradient_weight"
"""Where the state of a weight keeps the sum of the factors with which its momentum buffer holds past gradients."""


def sgd(state: State, group: dict[str, Any], p: Any) -> Step:
    """lr; with momentum, times the weight that gradients have in the buffer, 1/(1 − momentum) in the end."""
    lr, momentum = float(group["lr"]), group["momentum"]
    if not momentum:
        return lr
    carried = momentum * state[CARRIED] + 1 - group["dampening"] if CARRIED in state else 1.0
    state[CARRIED] = carried
    return lr * (1 + momentum * carried if group["nesterov"] else carried)


def adam(state: State, group: dict[str, Any], p: Any) -> Step:
    """lr/(√v̂ + ε); the bias correction of m has made its weights sum to 1."""
    v = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    return scaled(v.sqrt().div_(sqrt(unbias(state, group))), group)


def nadam(state: State, group: dict[str, Any], p: Any) -> Step:
    return scaled(state["exp_avg_sq"].sqrt().div_(sqrt(unbias(state, group))), group)


def radam(state: State, group: dict[str, Any], p: Any) -> Step:
    """lr while the variance of v is not known, then lr·r_t/(√v̂ + ε) with the rectification r_t of Liu et al. (2020)."""
    beta, t = group["betas"][1], float(state["step"])
    full = 2 / (1 - beta) - 1
    now = full - 2 * t * beta**t / (1 - beta**t)
    if now <= 5:
        return float(group["lr"])
    rectified = sqrt((now - 4) * (now - 2) * full / ((full - 4) * (full - 2) * now))
    return scaled(state["exp_avg_sq"].sqrt(), group).mul_(rectified * sqrt(unbias(state, group)))  # (ε before v̂)


def adamax(state: State, group: dict[str, Any], p: Any) -> Step:
    return float(group["lr"]) / state["exp_inf"]


def adagrad(state: State, group: dict[str, Any], p: Any) -> Step:
    return scaled(state["sum"].sqrt(), group).div_(1 + (float(state["step"]) - 1) * group["lr_decay"])


def rmsprop(state: State, group: dict[str, Any], p: Any) -> Step:
    """lr/(√v + ε), v about the mean where `centered`; momentum as for SGD."""
    v = state["square_avg"]
    if group["centered"]:
        v = (v - state["grad_avg"].square()).clamp_(min=0)
    h = scaled(v.sqrt(), group)
    if not group["momentum"]:
        return h
    state[CARRIED] = group["momentum"] * state.get(CARRIED, 0.0) + 1
    return h.mul_(state[CARRIED])


def scaled(root: Any, group: dict[str, Any]) -> Any:
    """lr/(root + ε), in place of root."""
    return root.add_(group["eps"]).reciprocal_().mul_(float(group["lr"]))


def unbias(state: State, group: dict[str, Any]) -> float:
    """What divides a running mean of squares that began at 0."""
    return float(1 - group["betas"][1] ** float(state["step"]))


METRICS: dict[type, Metric] = {
    optim.SGD: sgd, optim.Adam: adam, optim.AdamW: adam, optim.NAdam: nadam, optim.RAdam: radam, optim.Adamax: adamax,
    optim.Adagrad: adagrad, optim.RMSprop: rmsprop}


def metric_of(optimizer: Any) -> Metric:
    """The metric of an optimizer of exactly a known class: one derived from it may step differently."""
    if type(optimizer) not in METRICS:
        known = ", ".join(kind.__name__ for kind in METRICS)
        raise TypeError(
            f"optimizer must be one of {known}; got {type(optimizer).__name__}, whose metric is not known here. If you "
            "know it, give metric=f: f(state, group, parameter) is how far the last step moved each weight per unit of "
            "gradient, a number or a tensor")
    return METRICS[type(optimizer)]


def settle(optimizer: Any) -> None:
    """Take momentum buffers that were filled by others (a checkpoint, earlier training) as full."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p, {})
            if state.get("momentum_buffer") is not None and CARRIED not in state:
                state[CARRIED] = (1 - group.get("dampening", 0)) / (1 - group["momentum"])
