"""`regfast.torch`: optimizers that end at the solutions of this library, what PyTorch's own tools expect, the page."""

import copy
import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regfast

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'regfast[torch]')")
networks: Any = regfast.torch  # with `torch` the name of PyTorch itself

torch.set_num_threads(1)
nn, optim = torch.nn, torch.optim
Prox = networks.Prox
N, P = 120, 10
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, P)) * np.linspace(0.6, 1.6, P)
X[:, 5] = X[:, 4] + 0.5 * RNG.standard_normal(N)
Y = X[:, :5] @ [1.0, -2.0, 0.8, 0.0, 1.5] + 3 + 0.5 * RNG.standard_normal(N)
RESPONSES = X[:, :4] @ (RNG.standard_normal((4, 3)) * [1, 1, 0]) + RNG.standard_normal((N, 3))
H = torch.tensor(X)

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.2),
    "momentum": lambda p: optim.SGD(p, lr=0.03, momentum=0.8),
    "nesterov": lambda p: optim.SGD(p, lr=0.03, momentum=0.8, nesterov=True),
    "dampening": lambda p: optim.SGD(p, lr=0.06, momentum=0.8, dampening=0.5),
    "Adam": lambda p: optim.Adam(p, lr=0.03),
    "amsgrad": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.03, weight_decay=0),
    "NAdam": lambda p: optim.NAdam(p, lr=0.03),
    "RAdam": lambda p: optim.RAdam(p, lr=0.1),
    "Adamax": lambda p: optim.Adamax(p, lr=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.5, lr_decay=1e-5),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.03),
    "RMSprop, momentum": lambda p: optim.RMSprop(p, lr=0.004, momentum=0.7),
    "RMSprop, centred": lambda p: optim.RMSprop(p, lr=0.01, centered=True, eps=1e-2),
}


def descend(layer: Any, prox: Any, target: Any = Y, steps: int = 800) -> Any:
    """Full-batch steps on half the mean squared error, the last third of them ever shorter; the weights."""
    goal = torch.tensor(target).reshape(N, -1)
    schedule = optim.lr_scheduler.LambdaLR(prox, lambda t: min(1.0, 3 * (1 - t / steps)) ** 2 + 1e-4)
    for _ in range(steps):
        prox.zero_grad()
        (0.5 * (layer(H) - goal).square().sum(1).mean()).backward()
        prox.step()
        schedule.step()
    return layer.weight.detach().numpy()


def linear(outputs: int = 1) -> Any:
    torch.manual_seed(0)
    return nn.Linear(P, outputs, dtype=torch.float64)


@pytest.mark.parametrize(("name", "l1_ratio"), [*((name, 1.0) for name in OPTIMIZERS), ("SGD", 0.5), ("Adam", 0.5)])
def test_every_metric_ends_at_the_certified_solution(name: str, l1_ratio: float) -> None:
    path = regfast.fit_path(X, Y, alphas=[0.2], l1_ratio=l1_ratio, standardize=False, tol=1e-12)
    layer = linear()
    prox = Prox(OPTIMIZERS[name](layer.parameters()), 0.2, l1_ratio=l1_ratio)
    coef = descend(layer, prox)[0]
    np.testing.assert_array_equal(coef != 0, path.coef_at(0.2) != 0)
    np.testing.assert_allclose(coef, path.coef_at(0.2), atol=1e-3)
    np.testing.assert_allclose(layer.bias.item(), path.intercepts[0], atol=1e-3)
    assert 0 < path.n_nonzero[0] < P
    proof = regfast.certify(X, Y, coef, layer.bias.item(), alpha=0.2, l1_ratio=l1_ratio, standardize=False)
    assert proof.gap < 1e-4


def lacking(W: Any, b: Any, kind: str, alpha: float) -> float:
    """The largest violation of the optimality conditions, relative to alpha, for rows of W (C, P) as the groups."""
    gradient = -(RESPONSES - X @ W.T - b).T @ X / N
    out = []
    for w, g in zip(W, gradient, strict=True):
        if kind == "mcp":
            slope = np.sign(w) * np.maximum(alpha - np.abs(w) / 3, 0)
            out.append(np.where(w != 0, np.abs(g + slope), np.maximum(np.abs(g) - alpha, 0)).max())
            continue
        share = {"elasticnet": 1.0, "group": 0.0, "sparse_group": 0.5}[kind]
        whole, l1 = alpha * (1 - share) * np.sqrt(P), alpha * share
        if not w.any():
            out.append(max(0.0, np.linalg.norm(np.maximum(np.abs(g) - l1, 0)) - whole))
            continue
        pull = whole * w / np.linalg.norm(w)
        out.append(np.where(w != 0, np.abs(g + pull + l1 * np.sign(w)), np.maximum(np.abs(g) - l1, 0)).max())
    return float(max(out)) / alpha


@pytest.mark.parametrize("kind", ["elasticnet", "group", "sparse_group", "mcp"])
def test_one_threshold_for_all_weights_is_wrong_under_adam(kind: str) -> None:
    """Ours ends where the optimality conditions hold; lr·alpha as Adam's threshold ends somewhere else."""
    alpha = {"group": 0.2, "sparse_group": 0.2, "elasticnet": 0.2, "mcp": 0.1}[kind]
    found = []
    for metric in (None, lambda state, group, p: group["lr"]):
        layer = linear(3)
        with torch.no_grad():
            layer.weight *= 0.1
        prox = Prox(optim.Adam(layer.parameters(), lr=0.03), alpha, penalty=kind, metric=metric)
        W = descend(layer, prox, RESPONSES, steps=1000)
        found.append((lacking(W, layer.bias.detach().numpy(), kind, alpha), (W == 0).sum()))
    assert found[0][0] < 2e-3
    assert found[1][0] > 0.2
    assert found[0][1] > 0


def test_groups_of_inputs_are_the_lasso_of_several_responses() -> None:
    """√m_g α for m_g = 3 responses."""
    path = regfast.fit_path(X, RESPONSES, family="multigaussian", alphas=[0.5], standardize=False, tol=1e-12)
    layer = linear(3)
    prox = Prox(optim.Adam(layer.parameters(), lr=0.03), 0.5 / 3**0.5, penalty="group", unit="input")
    W = descend(layer, prox, RESPONSES)
    np.testing.assert_allclose(W, path.coef_at(0.5), atol=1e-3)
    np.testing.assert_array_equal(W != 0, path.coef_at(0.5) != 0)
    assert 0 < path.n_nonzero[0] < P


@pytest.mark.parametrize("delta", [0.2, 0.5])
def test_dropout_of_inputs_is_an_elastic_net(delta: float) -> None:
    """Training on masks minimises what `fit_path` does with the same rate, its penalty in closed form."""
    centred, y = X - X.mean(0), Y - Y.mean()
    path = regfast.fit_path(centred, y, alphas=[0.1], dropout=delta, fit_intercept=False, standardize=False, tol=1e-12)
    torch.manual_seed(0)
    layer, drop = nn.Linear(P, 1, bias=False, dtype=torch.float64), nn.Dropout(delta)
    many, goal = torch.tensor(np.tile(centred, (8, 1))), torch.tensor(np.tile(y, 8))
    prox = Prox(optim.SGD(layer.parameters(), lr=0.1), 0.1)
    mean, steps = torch.zeros(P, dtype=torch.float64), 2000
    for t in range(steps):
        prox.param_groups[0]["lr"] = 0.1 / (1 + t / 50) ** 0.6
        prox.zero_grad()
        (0.5 * (layer(drop(many))[:, 0] - goal).square().mean()).backward()
        prox.step()
        if t >= steps // 2:
            mean += layer.weight.detach()[0] / (steps - steps // 2)
    np.testing.assert_allclose(mean, path.coef_at(path.alphas[0]), atol=1e-2)
    assert 0 < path.n_nonzero[0] < P


# ---- what PyTorch's own tools expect of an optimizer

def small() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5), nn.LayerNorm(5))


def push(model: Any, prox: Any, steps: int = 3) -> None:
    torch.manual_seed(1)
    for _ in range(steps):
        prox.zero_grad()
        model(torch.randn(8, 1, 6, 6)).square().mean().backward()
        prox.step()


def weights(model: Any) -> Any:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_alpha_0_is_the_optimizer_itself() -> None:
    plain, wrapped = small(), small()
    push(plain, optim.Adam(plain.parameters()))
    push(wrapped, Prox(optim.Adam(wrapped.parameters()), 0.0))
    assert torch.equal(weights(plain), weights(wrapped))


@pytest.mark.parametrize("kind", ["elasticnet", "group", "sparse_group", "mcp"])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_schedule_that_begins_at_0_moves_nothing(name: str, kind: str) -> None:
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight[0], layer.weight[1, 1] = 0.0, 0.0
    before = layer.weight.clone()
    prox = Prox(OPTIMIZERS[name](layer.parameters()), 0.5, l1_ratio=0.5, penalty=kind)
    prox.param_groups[0]["lr"] = 0.0
    layer(torch.ones(2, 3)).square().sum().backward()
    prox.step()
    assert torch.equal(layer.weight, before)


def test_biases_norms_frozen_and_unused_weights_are_left_alone() -> None:
    torch.manual_seed(0)
    norm = nn.LayerNorm((4, 4))
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), norm, nn.Flatten(), nn.Linear(64, 5))
    model.append(nn.Linear(5, 5))
    model.unused = nn.Linear(5, 5)
    model[4].weight.requires_grad_(False)
    before = copy.deepcopy(model)
    prox = Prox(optim.SGD(model.parameters(), lr=1e-9), 1e12, model=model)
    torch.manual_seed(1)
    nn.Sequential(*list(model)[:-1])(torch.randn(8, 1, 6, 6)).square().mean().backward()
    prox.step()
    assert not model[0].weight.any()
    assert not model[5].weight.any()
    for now, then in (model[4].weight, before[4].weight), (model.unused.weight, before.unused.weight):
        assert torch.equal(now, then)
    for now, then in zip(model.modules(), before.modules(), strict=True):
        if getattr(now, "bias", None) is not None:
            torch.testing.assert_close(now.bias, then.bias)
    assert norm.weight.all()
    assert model[1].weight.all()


def test_parameter_groups_with_their_own_lr_and_factor() -> None:
    model = nn.ModuleList([nn.Linear(3, 1, bias=False) for _ in range(4)])
    with torch.no_grad():
        for layer in model:
            layer.weight.fill_(1.0)
    groups = [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[1].parameters(), "penalty_factor": 0.0},
              {"params": model[2].parameters(), "penalty_factor": float("inf")}]
    prox = Prox(optim.SGD(groups, lr=0.1), 0.2)
    prox.add_param_group({"params": list(model[3].parameters()), "lr": 0.25, "penalty_factor": 2.0})
    assert prox.penalty().item() == pytest.approx(0.2 * 3 + 0.2 * 2 * 3)
    sum(0 * layer.weight.sum() for layer in model).backward()
    prox.step()
    prox.alpha = 0.0
    prox.step()  # what is excluded stays so
    for layer, left in zip(model, [1 - 0.5 * 0.2, 1.0, 0.0, 1 - 0.25 * 0.4], strict=True):
        torch.testing.assert_close(layer.weight, torch.full((1, 3), left))
    with pytest.raises(ValueError, match="penalty_factor must lie in"):
        prox.add_param_group({"params": [nn.Parameter(torch.ones(2, 2))], "penalty_factor": -1.0})


@pytest.mark.parametrize("on_wrapper", [True, False])
@pytest.mark.parametrize("scheduler", [lambda o: optim.lr_scheduler.StepLR(o, 1, 0.5),
                                       lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9),
                                       lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0)],
                         ids=["step", "one cycle", "plateau"])
def test_schedulers(scheduler: Any, on_wrapper: bool) -> None:
    model = small()
    inner = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    prox = Prox(inner, 0.01)
    schedule = scheduler(prox if on_wrapper else inner)
    seen = []
    for _ in range(4):
        push(model, prox, 1)
        schedule.step(*([1.0] if isinstance(schedule, optim.lr_scheduler.ReduceLROnPlateau) else []))
        seen.append((prox.param_groups[0]["lr"], inner.param_groups[0]["lr"]))
    if on_wrapper:
        assert copy.deepcopy(prox).alpha == pickle.loads(pickle.dumps(prox)).alpha == 0.01
    assert all(a == b for a, b in seen)
    assert len({a for a, _ in seen}) > 1


@pytest.mark.parametrize("name", ["momentum", "Adam", "RMSprop, momentum"])
def test_training_goes_on_from_a_checkpoint(name: str) -> None:
    model = small()
    prox = Prox(OPTIMIZERS[name](model.parameters()), 0.01, l1_ratio=0.7, penalty="sparse_group", within=0.2)
    push(model, prox)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "prox": prox.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = small()
    resumed = Prox(OPTIMIZERS[name](other.parameters()), 0.5)
    other.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["prox"])
    assert repr(resumed) == repr(prox)
    twin, its = copy.deepcopy((model, prox))
    again, pickled = pickle.loads(pickle.dumps((model, prox)))
    for each, optimizer in (model, prox), (other, resumed), (twin, its), (again, pickled):
        push(each, optimizer)
        assert torch.equal(weights(each), weights(model))
    resumed.load_state_dict({k: v for k, v in saved["prox"].items() if k != "prox"})  # the optimizer's own
    assert resumed.alpha == 0.01


def test_momentum_that_others_have_filled_counts_as_full() -> None:
    layer = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    inner = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        layer.weight.grad = torch.zeros_like(layer.weight)
        inner.step()
    with torch.no_grad():
        layer.weight.fill_(1.0)
    Prox(inner, 0.5).step()
    torch.testing.assert_close(layer.weight, torch.full((1, 2), 1 - 0.5 * 0.1 / (1 - 0.9), dtype=torch.float64))


def test_closures_hooks_and_gradient_scalers() -> None:
    model, calls = small(), []
    prox = Prox(optim.Adam(model.parameters()), 0.01)
    prox.register_step_post_hook(lambda *_: calls.append("after"))

    def closure() -> Any:
        prox.zero_grad()
        loss = model(torch.ones(8, 1, 6, 6)).square().mean()
        loss.backward()
        calls.append("loss")
        return loss

    assert prox.step(closure).item() > 0
    assert calls == ["loss", "after"]
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    plain = copy.deepcopy((model, prox))
    scaler.scale(model(torch.ones(8, 1, 6, 6)).square().mean()).backward()
    plain[1].zero_grad()
    prox.zero_grad()
    for each, optimizer, factor in (model, prox, 4.0), (*plain, 1.0):
        (factor * each(torch.ones(8, 1, 6, 6)).square().mean()).backward()
        if factor > 1:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
    torch.testing.assert_close(weights(model), weights(plain[0]))
    before = weights(model)
    model[0].weight.grad.fill_(float("inf"))
    scaler.step(prox)  # skipped, and the map with it
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_half_precision(dtype: str) -> None:
    layer = nn.Linear(3, 2, bias=False, dtype=getattr(torch, dtype))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -0.01, 0.25], [0.01, 0.02, -0.01]]))
    prox = Prox(optim.SGD(layer.parameters(), lr=0.1), 0.5, penalty="sparse_group")
    layer.weight.grad = torch.zeros_like(layer.weight)
    prox.step()
    assert layer.weight[0, 0] > 0.4
    assert (layer.weight == 0).tolist() == [[False, True, False], [True, True, True]]


def test_what_is_refused() -> None:
    p = [nn.Parameter(torch.ones(2, 2))]
    for inner in optim.LBFGS(p), optim.Adadelta(p), optim.Rprop(p), Prox(optim.SGD(p), 0.1):
        with pytest.raises(TypeError, match=f"optimizer must be one of SGD.*; got {type(inner).__name__}, whose"):
            Prox(inner, 0.1)
    own = type("Own", (optim.Adam,), {})(p)
    with pytest.raises(TypeError, match="got Own"):
        Prox(own, 0.1)
    Prox(own, 0.1, metric=lambda state, group, p: group["lr"])
    for wrong, error, message in [
        ({"alpha": -1.0}, ValueError, "alpha must lie in"), ({"alpha": float("nan")}, ValueError, "alpha must lie"),
        ({"unit": "row"}, ValueError, "unit must be 'output' or"), ({"metric": 1}, TypeError, "metric must be"),
        ({"penalty": "l0"}, ValueError, "penalty must be one of"), ({"model": 3}, TypeError, "model must be"),
        ({"model": nn.Linear(1, 1)}, ValueError, "a parameter of shape .2, 2. that model does not have"),
    ]:
        with pytest.raises(error, match=message):
            Prox(optim.SGD(p), **{"alpha": 0.1, **wrong})
    with pytest.raises(TypeError, match=r"optimizer must be a torch.optim.Optimizer; got list"):
        Prox(p, 0.1)
    with pytest.raises(TypeError, match="parameters must be real"):
        Prox(optim.SGD([nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))]), 0.1)
    with pytest.raises(ValueError, match=r"model must have seen a batch: 0\.weight has no shape yet"):
        networks.sparsity(nn.Sequential(nn.LazyLinear(2)))
    split = nn.Conv2d(4, 4, 3, groups=2)
    Prox(optim.SGD(split.parameters()), 0.1, model=split, penalty="group")
    with pytest.raises(ValueError, match=r"unit='input': weight is a convolution in 2 groups"):
        Prox(optim.SGD(split.parameters()), 0.1, model=split, penalty="group", unit="input")


# ---- what is zero, and paths

def test_sparsity_and_penalty_know_their_layers() -> None:
    model = nn.ModuleDict({
        "linear": nn.Linear(3, 2), "conv": nn.Conv2d(2, 4, 3), "up": nn.ConvTranspose2d(3, 2, 2),
        "words": nn.Embedding(5, 2), "norm": nn.LayerNorm((2, 2)), "batch": nn.BatchNorm1d(3)})
    model["tied"] = nn.Linear(3, 2)
    model["tied"].weight = model["linear"].weight
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
        model["linear"].weight[1] = 0
        model["conv"].weight[:, 0] = 0
        model["up"].weight[:, 1] = 0
        model["words"].weight[3] = 0
    report = networks.sparsity(model)
    found = {x.name.split(".")[0]: (x.n_zero, x.dead_outputs, x.dead_inputs) for x in report.layers}
    assert found == {"linear": (3, 1, 0), "conv": (36, 0, 1), "up": (12, 1, 0), "words": (2, 0, 1)}
    assert (report.n_weights, report.n_zero) == (6 + 72 + 24 + 10, 53)
    assert "2×3" in repr(report)
    assert repr(report).splitlines()[-1].split() == ["all", "112", "53", "47.3%"]
    assert report.to_frame()["n_zero"].sum() == 53
    value = networks.penalty(model, 0.5, l1_ratio=0.8)
    assert value.item() == pytest.approx(0.5 * (0.8 + 0.1) * (112 - 53))  # weights are 0 or 1
    rows = 3**0.5 * 3**0.5 + 4 * 18**0.5 * 9**0.5 + 12**0.5 * 12**0.5 + 2 * 5**0.5 * 4**0.5
    assert networks.penalty(model, 0.5, penalty="group").item() == pytest.approx(0.5 * rows)
    prox = Prox(optim.SGD(model.parameters()), 0.5, penalty="group", model=model)
    assert prox.penalty().item() == pytest.approx(0.5 * rows)
    assert networks.penalty(nn.BatchNorm1d(2), 1.0).item() == 0
    assert repr(networks.sparsity(nn.BatchNorm1d(2))).endswith("-")


def test_paths_are_warm_and_end_at_each_solution() -> None:
    alphas = [0.1, 0.3, 0.9]
    exact = regfast.fit_path(X, Y, alphas=alphas, standardize=False, tol=1e-12)
    layer = linear()
    prox = Prox(optim.SGD(layer.parameters(), lr=0.2), 0.0)
    starts = []

    def train() -> float:
        starts.append(layer.weight.detach().clone())
        descend(layer, prox, steps=500)
        prox.param_groups[0].update(lr=0.2, initial_lr=0.2)
        return prox.alpha

    path = networks.prox_path(layer, prox, train, iter(alphas))
    assert path.scores == alphas
    assert path.n_nonzero.tolist() == exact.n_nonzero[::-1].tolist()
    for k, alpha in enumerate(alphas):
        path.restore(layer, alpha)
        np.testing.assert_allclose(layer.weight[0].detach(), exact.coef_at(alpha), atol=1e-3)
        if k + 1 < len(alphas):
            assert torch.equal(layer.weight, starts[k + 1])
    assert repr(path) == f"NetworkPath(3 alphas from 0.1 to 0.9, {path.n_nonzero[0]} to {path.n_nonzero[2]} of 10 " \
                         "weights non-zero)"
    assert path.to_frame().columns.tolist() == ["alpha", "n_nonzero", "dead_outputs", "score"]
    with pytest.raises(ValueError, match=r"alpha must be one of the path's 3; got 0.4, the nearest is 0.3"):
        path.restore(layer, 0.4)


def test_an_interrupted_path_is_kept() -> None:
    layer = linear()
    prox = Prox(optim.SGD(layer.parameters(), lr=0.1), 0.0)

    def train() -> None:
        if prox.alpha > 0.15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        networks.prox_path(layer, prox, train, [0.1, 0.2, 0.3])
    assert vars(stopped.value)["partial"].alphas.tolist() == [0.1]
    for alphas, message in ([], "alphas must hold"), ([-1.0], "alphas must lie"):
        with pytest.raises(ValueError, match=message):
            networks.prox_path(layer, prox, train, alphas)
    for wrong, message in [((3, prox, train, [0.1]), "model must"), ((layer, 3, train, [0.1]), "prox must"),
                           ((layer, prox, 3, [0.1]), "train must")]:
        with pytest.raises(TypeError, match=message):
            networks.prox_path(*wrong)


def test_the_page_keeps_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/networks.md, run as it stands: half the weights exactly zero for under a point of accuracy."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "networks.md", "exec"), names)
    dense, sparse, term = (networks.sparsity(names[each]) for each in ("dense", "sparse", "term"))
    assert dense.n_zero == term.n_zero == 0
    assert sparse.n_zero > 0.7 * sparse.n_weights
    assert names["sparse_accuracy"] > names["accuracy"] - 0.01 > 0.95
    assert (np.diff(names["paths"]["elasticnet"].n_nonzero) < 0).all()
    assert names["paths"]["group"].sparsity[-1].dead_outputs > 32
    assert names["exact"].gaps.max() < 1e-7
    assert (tmp_path / "networks.png").stat().st_size > 10_000
