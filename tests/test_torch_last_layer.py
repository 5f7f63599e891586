"""The path of a network's last layer, against fits to features that are held in memory."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import regfast

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'regfast[torch]')")
last_layer_path: Any = regfast.torch.last_layer_path

torch.set_num_threads(1)
nn = torch.nn
RNG = np.random.default_rng(0)
N, RAW, P = 300, 6, 20


class Passing(nn.Module):  # what it is given is what its last layer sees
    def __init__(self, p: int) -> None:
        super().__init__()
        self.last = nn.Linear(p, 1)

    def forward(self, x: Any) -> Any:
        return self.last(x.to(self.last.weight.dtype)) if x.dtype != torch.float64 else self.last.double()(x)


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(RAW, P), nn.BatchNorm1d(P), nn.ReLU(), nn.Dropout(0.5), nn.Linear(P, 1))


def batches(X: Any, y: Any, size: int) -> list[tuple[Any, Any]]:
    return [(torch.as_tensor(X[k:k + size]), torch.as_tensor(y[k:k + size])) for k in range(0, len(X), size)]


def same(ours: Any, true: Any, tol: float = 1e-9) -> None:
    """Two paths of one problem, field by field."""
    assert_allclose(ours.alphas, true.alphas, rtol=tol)
    scale = np.where(true.scales > 0, true.scales, 1)[:, None]
    pairs = zip(ours.coefs, true.coefs, strict=True) if isinstance(true.coefs, list) else [(ours.coefs, true.coefs)]
    for a, b in pairs:
        assert_allclose(a.toarray() * scale, b.toarray() * scale, atol=10 * tol * abs(b.toarray() * scale).max())
    assert_allclose(ours.intercepts, true.intercepts, atol=10 * tol * (1 + abs(true.intercepts).max()))
    assert_allclose(ours.deviance_ratio, true.deviance_ratio, atol=tol)
    assert_allclose(ours.scales, true.scales, rtol=tol, atol=1e-300)
    for name in "alpha_max", "null_deviance":
        assert_allclose(getattr(ours, name), getattr(true, name), rtol=tol)
    for name in "n_samples", "fit_intercept", "standardize", "l1_ratio", "family", "gap_kind", "path_status":
        assert getattr(ours, name) == getattr(true, name), name
    assert ours.gaps.max() < 1e-10


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("size", [7, 300])
def test_streamed_rows_give_the_path_of_all_rows(size: int, fit_intercept: bool, standardize: bool) -> None:
    """Features far from zero, of different units, collinear, equal, constant, zero."""
    H = RNG.standard_normal((N, P)) * 10.0 ** RNG.integers(-3, 4, P) + RNG.normal(size=P)
    H[:, 3] = H[:, 2] + 1e-4 * H[:, 3]
    H[:, 5], H[:, 7], H[:, 8] = H[:, 4], 7.0, 0.0
    y = H @ (RNG.standard_normal(P) / (1e-9 + H.std(0)) * (np.arange(P) < 6)) + RNG.standard_normal(N) + 50
    how: dict[str, Any] = {"fit_intercept": fit_intercept, "standardize": standardize, "l1_ratio": 0.9, "tol": 1e-13,
                               "n_alphas": 20, "early_stop": False, "eps": 1e-3}
    ours = last_layer_path(Passing(P), batches(H, y, size), **how)
    same(ours, regfast.fit_path(H, y, **how), 1e-8)
    k = 12
    proof = regfast.certify(H, y, ours.coefs[:, [k]].toarray().ravel(), ours.intercepts[k], alpha=ours.alphas[k],
                            l1_ratio=0.9, fit_intercept=fit_intercept, standardize=standardize)
    assert proof.gap < 1e-9


def test_a_network_is_read_as_it_predicts_and_left_as_it_was() -> None:
    X, y = RNG.standard_normal((N, RAW)).astype("f4"), RNG.standard_normal(N).astype("f4")
    model = network()
    model[3].eval()
    modes, before = [m.training for m in model.modules()], [p.clone() for p in model.state_dict().values()]
    ours = last_layer_path(model, batches(X, y, 64), n_alphas=10)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), before, strict=True))
    assert not model[4]._forward_pre_hooks
    model.eval()
    with torch.no_grad():
        H = model[:4](torch.tensor(X)).numpy()
    same(ours, regfast.fit_path(H, y, n_alphas=10), 1e-7)
    alpha = ours.alphas[5]
    with torch.no_grad():
        model[4].weight.copy_(torch.tensor(ours.coef_at(alpha))[None])
        model[4].bias.fill_(ours.intercept_at(alpha))
        assert_allclose(model(torch.tensor(X))[:, 0], ours.predict(H, alpha), rtol=1e-4, atol=1e-5)
    by_name = last_layer_path(model, batches(X, y, 50), layer="4", n_alphas=10)
    same(by_name, last_layer_path(model, batches(X, y, 50), layer=model[4], n_alphas=10))
    model.train()
    assert last_layer_path(model, batches(X, y, 50), layer=model[0], n_alphas=10).coefs.shape[0] == RAW
    assert model.training


def test_several_responses_and_classes() -> None:
    H = RNG.standard_normal((N, P)) + 2
    Y = H[:, :4] @ RNG.standard_normal((4, 3)) + RNG.standard_normal((N, 3))
    model = Passing(P).double()
    how: dict[str, Any] = {"n_alphas": 10, "tol": 1e-12, "eps": 1e-2}
    same(last_layer_path(model, batches(H, Y, 70), family="multigaussian", **how),
         regfast.fit_path(H, Y, family="multigaussian", **how), 1e-7)
    labels = Y.argmax(1)
    for family, y in ("multinomial", labels), ("binomial", (labels == 1).astype(int)), ("poisson", labels):
        ours = last_layer_path(model, batches(H, y, 70), family=family, **how)
        true = regfast.fit_path(H, y, family=family, **how)
        assert_array_equal(ours.alphas, true.alphas)
        assert_array_equal(ours.intercepts, true.intercepts)


def test_memory_does_not_grow_with_the_rows() -> None:
    """What is kept after many batches is the triangle and less than a block of rows."""
    from regfast.last_layer import Triangle

    triangle, kept = Triangle(centred=True), []
    for _ in range(40):
        triangle.add(RNG.standard_normal((200, P)), RNG.standard_normal(200))
        kept.append(sum(len(rows) for rows in triangle.waiting))
    assert max(kept) < 1024
    assert triangle.R is not None
    assert triangle.R.shape == (P + 2, P + 2)
    assert triangle.n == 8000


def test_an_interrupted_path_is_on_the_scale_of_the_features() -> None:
    H, y = RNG.standard_normal((N, P)) * 30 + 5, RNG.standard_normal(N)
    whole = last_layer_path(Passing(P), batches(H, y, 100), n_alphas=12)

    def stop(done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        last_layer_path(Passing(P), batches(H, y, 100), n_alphas=12, progress=stop)
    partial = vars(stopped.value)["partial"]
    k = len(partial)
    assert 6 < k < 12
    assert_array_equal(partial.coefs.toarray(), whole.coefs[:, :k].toarray())
    assert_array_equal(partial.intercepts, whole.intercepts[:k])


@pytest.mark.parametrize(("n", "p"), [(1, 3), (2, 1), (5, 20), (20, 20), (21, 20)])
def test_few_rows(n: int, p: int) -> None:
    H, y = RNG.standard_normal((n, p)), RNG.standard_normal(n)
    how: dict[str, Any] = {"n_alphas": 8, "tol": 1e-12, "early_stop": False}
    ours = last_layer_path(Passing(p), batches(H, y, 4), **how)
    if n == 1:
        assert ours.intercepts.tolist() == y.tolist()
        assert ours.coefs.nnz == 0
    else:
        same(ours, regfast.fit_path(H, y, **how), 1e-7)


def test_inputs_in_their_three_forms() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4, 1)

        def forward(self, a: Any, b: Any) -> Any:
            return self.last(torch.cat([a, b], 1))

    X, y = torch.randn(30, 4), torch.randn(30)
    a, b = X[:, :2], X[:, 2:]
    one = last_layer_path(Two(), [((a, b), y)], n_alphas=5)
    same(last_layer_path(Two(), [({"a": a, "b": b}, y[:, None])], n_alphas=5), one)
    data = torch.utils.data.TensorDataset(X.half().float(), y)
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    assert last_layer_path(nn.Sequential(nn.Linear(4, 1)), loader, n_alphas=5).n_samples == 30
    half = nn.Sequential(nn.Linear(4, 1, dtype=torch.bfloat16))
    assert last_layer_path(half, [(X.bfloat16(), y.bfloat16())], n_alphas=5).gaps.max() < 1e-7


def test_what_is_refused() -> None:
    X, y = torch.randn(30, 4), torch.randn(30)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))

    def run(loader: Any, model: Any = model, **how: Any) -> None:
        last_layer_path(model, loader, **how)

    nan = X.clone()
    nan[3, 1] = float("nan")
    for loader, how, message in [
        ([], {}, "at least one row; got none"), ([], {"family": "binomial"}, "at least one batch; got none"),
        ([(X[:0], y[:0])], {}, "at least one row; got none"),
        ([(X, y, y)], {}, "pairs .inputs, targets.; got 3"), ([X], {}, "pairs .inputs, targets.; got Tensor"),
        ([(X, y[:5])], {}, "as many targets as inputs; got 5 for 30 rows"),
        ([(nan, y)], {}, "features must be finite"), ([(X, y * float("inf"))], {}, "targets must be finite numbers"),
        ([(X, torch.randn(30, 2))], {}, "family='gaussian' takes one target; got 2"),
        ([(X, y), (X, torch.randn(30, 2))], {}, "every batch must have 4 features and 1 targets; got 4 and 2"),
        ([(X, y)], {"layer": "head"}, "layer must be a module of the model or its name; got 'head'"),
        ([(X, y)], {"model": nn.ReLU()}, "the model has no torch.nn.Linear"),
        ([(X[:, None], y)], {}, r"layer must see one \(batch, p\) tensor .*; got \[\(30, 1, 4\)\]"),
        ([(X, y)], {"model": nn.Sequential(shared := nn.Linear(4, 4), shared)}, "in each pass through the model"),
    ]:
        with pytest.raises(ValueError, match=message):
            run(loader, **how)
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module; got int"):
        run([(X, y)], model=3)
    with pytest.raises(TypeError, match="last_layer_path has no offset, sample_weight"):
        run([(X, y)], offset=y, sample_weight=y)
    assert not model[1]._forward_pre_hooks
