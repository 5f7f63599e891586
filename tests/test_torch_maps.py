"""Proximal maps in a diagonal metric, against brute force, scipy.optimize, and what convexity says."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'regfast[torch]')")

maps: Any = import_module("regfast.prox")
MCP, ElasticNet, Group, SparseGroup, make = maps.MCP, maps.ElasticNet, maps.Group, maps.SparseGroup, maps.make
torch.set_num_threads(1)
RATIOS = [1.0, 0.6, 0.0]
Tensor = Any


def draw(seed: int, *shape: int, spread: float = 1.5) -> tuple[Tensor, Tensor]:
    """Points and steps that differ by 10^(2·spread)."""
    rng = np.random.default_rng(seed)
    return torch.tensor(2 * rng.standard_normal(shape)), torch.tensor(10 ** rng.uniform(-spread, spread, shape))


def objective(penalty: Any, x: Tensor, z: Tensor, h: Tensor, alpha: float) -> float:
    return float(((x - z) ** 2 / (2 * h)).sum() + penalty.value(x, alpha, 0))


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("kind", ["elasticnet", "mcp"])
def test_each_weight_against_a_grid(kind: str, ratio: float) -> None:
    """No point of a fine grid is lower; on MCP with h ≥ γ, where the map jumps, nor is any."""
    penalty = make(kind, l1_ratio=ratio, within=0.5, gamma=2.0)
    z, h = draw(0, 60)
    x = penalty.prox(z, h, 0.4, 0)
    grid = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    for k in range(60):
        tried = (grid - z[k]) ** 2 / (2 * h[k]) + 0.4 * (1 - ratio) / 2 * grid**2
        if kind == "mcp":
            lam = 0.4 * ratio
            tried += torch.where(grid.abs() <= 2 * lam, lam * grid.abs() - grid**2 / 4, lam**2)
        else:
            tried += 0.4 * ratio * grid.abs()
        ours = objective(penalty, x[k:k + 1], z[k:k + 1], h[k:k + 1], 0.4)
        assert ours <= float(tried.min()) + 1e-12
        assert abs(ours - float(tried.min())) <= 1e-8 / float(h[k]) + 1e-8  # the value is that of the formula
    if kind == "mcp" and ratio == 1:
        assert ((x == 0) & (h >= 2)).any()
        assert ((x == z) & (h >= 2)).any()
        assert ((x != 0) & (x != z) & (h < 2)).any()


@pytest.mark.parametrize("ratio", [1.0, 0.6])
@pytest.mark.parametrize("within", [0.0, 0.4])
def test_groups_against_scipy(within: float, ratio: float) -> None:
    """x = sign(z) a with a ≥ 0 makes of it a smooth problem but at 0, where the value is compared."""
    kind = SparseGroup(ratio, within) if within else Group(ratio)
    z, h = draw(1, 12, 5)
    x = kind.prox(z, h, 0.6, 0)
    dead = (x == 0).all(1)
    assert 0 < dead.sum() < 12
    l1, l2, lg = 0.6 * ratio * within, 0.6 * (1 - ratio), 0.6 * ratio * (1 - within) * 5**0.5
    for k in range(12):
        to, step = z[k].abs().numpy(), h[k].numpy()

        def value(a: Any, to: Any = to, step: Any = step) -> tuple[float, Any]:
            size = np.linalg.norm(a)
            return (((a - to) ** 2 / step / 2).sum() + l1 * a.sum() + l2 / 2 * size**2 + lg * size,
                    (a - to) / step + l1 + l2 * a + (lg * a / size if size else 0))

        best = minimize(value, to / 2, jac=True, bounds=[(0, None)] * 5, method="L-BFGS-B",
                        options={"ftol": 1e-15, "gtol": 1e-11, "maxiter": 2000})
        ours = objective(kind, x[k:k + 1], z[k:k + 1], h[k:k + 1], 0.6)
        assert ours <= min(best.fun, value(0 * to)[0]) + 1e-10
        if not dead[k]:
            np.testing.assert_allclose(ours, best.fun, rtol=1e-9)
            np.testing.assert_allclose(x[k].abs(), best.x, atol=1e-4)
            np.testing.assert_array_equal(x[k] == 0, best.x < 1e-7)


@pytest.mark.parametrize("spread", [0, 2, 5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_groups_solve_their_equation_however_steps_differ(dtype: str, spread: float) -> None:
    """(x − z)/h + λ x/‖x‖ = 0, or ‖z/h‖ ≤ λ."""
    kind = getattr(torch, dtype)
    z, h = (x.to(kind) for x in draw(2, 400, 30, spread=spread))
    z = z * 10 ** torch.linspace(-3 - spread, 3, 400, dtype=kind)[:, None]
    x = maps.shorten(z, h, 0.7).double()
    z, h = z.double(), h.double()
    size, alive = x.norm(dim=1, keepdim=True), (x != 0).any(1)
    assert 0 < alive.sum() < 400
    assert ((z / h).norm(dim=1)[~alive] <= 0.7 * (1 + 1e-6)).all()
    lacking = (x - z + h * 0.7 * x / size)[alive] / (z.abs() + h * 0.7)[alive]
    assert lacking.abs().max() < (1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("kind", ["elasticnet", "group", "sparse_group", "mcp"])
def test_finite_numbers_stay_finite(kind: str) -> None:
    """float32, weights and steps of any size, 0 included: shorter than they were, of the same sign."""
    rng = np.random.default_rng(5)
    z = torch.tensor(rng.standard_normal((500, 20)) * 10.0 ** rng.integers(-36, 15, (500, 1)), dtype=torch.float32)
    h = torch.tensor(10.0 ** rng.integers(-36, 15, (500, 20)), dtype=torch.float32)
    z[rng.random(z.shape) < 0.2], h[rng.random(z.shape) < 0.2], h[:50] = 0.0, 0.0, 0.0
    for ratio in 1.0, 0.5:
        x = make(kind, l1_ratio=ratio, within=0.3, gamma=3.0).prox(z, h, 0.01, 0)
        assert x.isfinite().all()
        assert (x.abs() <= z.abs()).all()
        assert (x * z.sign() >= 0).all()
        torch.testing.assert_close(x[:50], z[:50], rtol=1e-6, atol=1e-36)  # (the smallest steps are 1e-38)


@pytest.mark.parametrize("kind", ["elasticnet", "group", "sparse_group"])
def test_convex_maps_bring_points_nearer(kind: str) -> None:
    penalty = make(kind, l1_ratio=0.8, within=0.3, gamma=3.0)
    for seed in range(20):
        (z, h), (other, _) = draw(seed, 6, 4), draw(seed + 100, 6, 4)
        before = ((z - other) ** 2 / h).sum()
        after = ((penalty.prox(z, h, 0.5, 0) - penalty.prox(other, h, 0.5, 0)) ** 2 / h).sum()
        assert after <= before * (1 + 1e-12)


def test_limits() -> None:
    z, h = draw(3, 7, 5)
    same = torch.testing.assert_close
    same(SparseGroup(0.7, 1.0).prox(z, h, 0.5, 0), ElasticNet(0.7).prox(z, h, 0.5, 0))
    same(SparseGroup(0.7, 0.0).prox(z, h, 0.5, 0), Group(0.7).prox(z, h, 0.5, 0))
    same(MCP(0.7, 1e12).prox(z, h, 0.5, 0), ElasticNet(0.7).prox(z, h, 0.5, 0))
    same(Group(0.7).prox(z[:, :1], h[:, :1], 0.5, 0), ElasticNet(0.7).prox(z[:, :1], h[:, :1], 0.5, 0))
    same(Group(0.0).prox(z, h, 0.5, 0), z / (1 + 0.5 * h))  # ridge
    same(Group(1.0).prox(z, 0.3, 0.5, 0),  # one step for all: block soft-thresholding
         z * (1 - 0.15 * 5**0.5 / z.norm(dim=1, keepdim=True)).clamp(min=0))
    for kind in ElasticNet(0.7), Group(0.7), SparseGroup(0.7, 0.5), MCP(0.7, 3.0):
        same(kind.prox(z, 0.3, 0.5, 0), kind.prox(z, torch.full_like(z, 0.3), 0.5, 0))
        same(kind.prox(z, h, 0.5, 1), kind.prox(z.T, h.T, 0.5, 0).T)
        same(kind.value(z, 0.5, 1), kind.value(z.T, 0.5, 0))
        same(kind.prox(z.reshape(7, 5, 1, 1), h.reshape(7, 5, 1, 1), 0.5, 1)[..., 0, 0], kind.prox(z, h, 0.5, 1))


@pytest.mark.parametrize("kind", ["elasticnet", "group", "sparse_group", "mcp"])
def test_zeros_and_what_is_not_a_number(kind: str) -> None:
    penalty = make(kind, l1_ratio=1.0, within=0.5, gamma=3.0)
    z, h = draw(4, 5, 4)
    z[0], z[1, 2] = -1e-9, float("nan")
    x = penalty.prox(z, h, 0.5, 0)
    assert (x[0] == 0).all()
    assert not x[0].signbit().any()
    assert x[1, 2].isnan()  # training that has gone astray is not hidden by a zero
    assert penalty.prox(z[:, :0], h[:, :0], 0.5, 0).shape == (5, 0)
    w = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    penalty.value(w, 0.5, 0).backward()
    assert (w.grad == 0).all()


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match=r"penalty must be one of 'elasticnet', 'group', .*; got 'l1'"):
        make("l1", l1_ratio=1.0, within=0.5, gamma=3.0)
    with pytest.raises(ValueError, match="l1_ratio must lie in"):
        make("group", l1_ratio=1.5, within=0.5, gamma=3.0)
    with pytest.raises(ValueError, match="within must lie in"):
        make("sparse_group", l1_ratio=1.0, within=-0.1, gamma=3.0)
    with pytest.raises(ValueError, match="gamma must lie in"):
        make("mcp", l1_ratio=1.0, within=0.5, gamma=0.0)
