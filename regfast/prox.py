"""Proximal maps: what a penalty makes of weights that an optimizer has just moved.

An optimizer that scales each weight's gradient by a step h_j of its own measures distance by Σ (x_j − z_j)² / h_j, so
the point that its step z is to be mapped to is

    prox(z) = argmin_x  Σ_j (x_j − z_j)² / (2 h_j) + Ω(x)

(Yun, Lozano & Yang 2021). One h for all weights is the textbook's map; another threshold than h_j·α solves another
problem. Ω is α [l1_ratio·K(x) + (1 − l1_ratio)/2 ‖x‖²], the kink K one class each. The square needs no class: it turns
(z, h) into (z, h)/(1 + h α(1 − l1_ratio)), after which only K is left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import torch

from . import validation as check

Tensor = Any  # of torch, which need not be installed where types are checked
Step = Any  # a tensor, or a number: the same for all
NEWTON_STEPS = 100  # ten are enough where the steps of a unit differ by 1e12


@dataclass(frozen=True)
class Penalty(ABC):
    """α [l1_ratio·K(w) + (1 − l1_ratio)/2 ‖w‖²] of one weight tensor.

    `dim` is the dimension of a tensor along which its units (neurons, channels) are counted; only kinks that know
    groups look at it.
    """

    l1_ratio: float
    name: ClassVar[str]
    grouped: ClassVar[bool] = False

    def value(self, w: Tensor, alpha: float, dim: int) -> Tensor:
        """The penalty, a differentiable scalar."""
        return self.kink(w, alpha * self.l1_ratio, dim) + alpha * (1 - self.l1_ratio) / 2 * w.square().sum()

    def prox(self, z: Tensor, h: Step, alpha: float, dim: int) -> Tensor:
        """Its proximal map at z in the metric of steps h > 0."""
        if self.l1_ratio < 1:
            shrink = 1 + h * (alpha * (1 - self.l1_ratio))
            z, h = z / shrink, h / shrink
        return self.pull(z, h, alpha * self.l1_ratio, dim)

    @abstractmethod
    def kink(self, w: Tensor, strength: float, dim: int) -> Tensor:
        """strength · K(w)."""

    @abstractmethod
    def pull(self, z: Tensor, h: Step, strength: float, dim: int) -> Tensor:
        """The proximal map of strength · K."""


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """K = Σ|w_j|: soft-thresholding, each weight by its own h_j."""

    name = "elasticnet"

    def kink(self, w: Tensor, strength: float, dim: int) -> Tensor:
        return strength * w.abs().sum()

    def pull(self, z: Tensor, h: Step, strength: float, dim: int) -> Tensor:
        return soft(z, h * strength)


@dataclass(frozen=True)
class Group(Penalty):
    """K = Σ_g √m_g ‖w_g‖₂ over units g of m_g weights (Yuan & Lin 2006): a unit is zero as a whole or not at all."""

    name = "group"
    grouped = True

    def kink(self, w: Tensor, strength: float, dim: int) -> Tensor:
        rows = units(w, dim)
        size = rows.square().sum(1)
        alive = size != 0
        return strength * sqrt(rows.shape[1]) * size[alive].sqrt().sum()  # at 0 the subgradient 0, not NaN

    def pull(self, z: Tensor, h: Step, strength: float, dim: int) -> Tensor:
        steps = units(torch.as_tensor(h, dtype=z.dtype, device=z.device).expand_as(z), dim)
        rows = units(z, dim)
        out = shorten(rows, steps, strength * sqrt(rows.shape[1]))
        return out.reshape(z.movedim(dim, 0).shape).movedim(0, dim)


@dataclass(frozen=True)
class SparseGroup(Group):
    """K = within·Σ|w_j| + (1 − within)·Σ_g √m_g ‖w_g‖₂ (Simon et al. 2013): whole units, and weights within the others.

    In any diagonal metric the map is that of the L1 part followed by that of the groups: where x_j ≠ 0 both parts have
    the sign of z_j, and the rest of the optimality condition is the group's at the thresholded point.
    """

    within: float
    name = "sparse_group"

    def kink(self, w: Tensor, strength: float, dim: int) -> Tensor:
        return self.within * strength * w.abs().sum() + super().kink(w, (1 - self.within) * strength, dim)

    def pull(self, z: Tensor, h: Step, strength: float, dim: int) -> Tensor:
        return super().pull(soft(z, h * (self.within * strength)), h, (1 - self.within) * strength, dim)


@dataclass(frozen=True)
class MCP(Penalty):
    """The minimax concave penalty (Zhang 2010): λ|w| − w²/(2γ) up to |w| = γλ, level from there on.

    Not convex. The map is a global minimum: firm thresholding where h < γ, else all or nothing, with a jump at
    |z| = λ√(hγ).
    """

    gamma: float
    name = "mcp"

    def kink(self, w: Tensor, strength: float, dim: int) -> Tensor:
        near = w.abs().clamp(max=self.gamma * strength)
        return (strength * near - near.square() / (2 * self.gamma)).sum()

    def pull(self, z: Tensor, h: Step, strength: float, dim: int) -> Tensor:
        h, size = torch.as_tensor(h, dtype=z.dtype, device=z.device), z.abs()
        curved = (1 - h / self.gamma).clamp(min=0)
        firm = torch.where(size <= self.gamma * strength, soft(z, h * strength) / curved, z)
        jump = torch.where(size <= strength * (h * self.gamma).sqrt(), 0, z)
        return torch.where(h < self.gamma, firm, jump)


PENALTIES: dict[str, type[Penalty]] = {kind.name: kind for kind in (ElasticNet, Group, SparseGroup, MCP)}


def make(penalty: str, *, l1_ratio: float, within: float, gamma: float) -> Penalty:
    """The penalty of that name, its parameters checked; those that it does not have are not looked at."""
    ratio = check.number("l1_ratio", l1_ratio, 0, 1)
    if penalty == "sparse_group":
        return SparseGroup(ratio, check.number("within", within, 0, 1))
    if penalty == "mcp":
        return MCP(ratio, check.number("gamma", gamma, 0, 1e30, open_lo=True))
    if penalty not in PENALTIES:
        raise ValueError(f"penalty must be one of {', '.join(map(repr, PENALTIES))}; got {penalty!r}")
    return PENALTIES[penalty](ratio)


def soft(z: Tensor, threshold: Step) -> Tensor:
    """sign(z) max(|z| − threshold, 0), with zeros that have no sign."""
    rest = z.clamp(-threshold, threshold)
    return torch.sub(z, rest, out=rest)


def units(w: Tensor, dim: int) -> Tensor:
    """(units, weights of each), the units counted along `dim`."""
    return w.movedim(dim, 0).flatten(1)


def shorten(z: Tensor, h: Tensor, strength: float) -> Tensor:
    """The proximal map of strength · ‖x‖₂ for each row of z (G, m), with steps h (G, m).

    From (x − z)/h + strength·x/‖x‖ = 0 it is x_j = z_j t/(t + strength·h_j), t = ‖x‖ the root of

        Σ_j z_j² / (t + strength·h_j)² = 1

    or 0 where the left-hand side is not above 1 at t = 0. The reciprocal of its root is concave in t and, for constant
    h, linear: Newton's method on it rises to the solution from below, quadratically, for all rows at once. It begins at
    the larger of ‖z‖ − max_j strength·h_j and max_j |z_j| − strength·h_j, so that no ratio is above 1.
    """
    if not (strength and z.numel()):
        return z
    wall = (strength * h).clamp_(min=torch.finfo(z.dtype).tiny)  # (where lr is 0)
    away, ratio = wall.clone(), z / wall  # two blocks of memory for all rounds
    alive = ratio.norm(dim=1) > 1
    t = torch.maximum(z.norm(dim=1) - wall.amax(1), (z.abs() - wall).amax(1)).clamp_(min=0)
    done = 4 * torch.finfo(z.dtype).eps
    for _ in range(NEWTON_STEPS):
        torch.add(t[:, None], wall, out=away)
        torch.div(z, away, out=ratio)
        f = ratio.norm(dim=1)
        move = torch.where(alive, f.square() * (f - 1) / ratio.square_().div_(away).sum(1), 0)
        t = t + move.clamp(min=0)  # (below 0 it is rounding)
        if not (move > done * t).any():
            break
    t = torch.where(alive, t, 0)[:, None]
    torch.div(t, torch.add(t, wall, out=away), out=ratio)
    return ratio.mul_(z).add_(0.0)  # (no −0)
