"""Networks in PyTorch that reach exact zero: `pip install 'regfast[torch]'`.

`Prox` wraps any optimizer and ends its steps with the proximal map of a penalty, in the metric of that optimizer;
`penalty` is the same penalty as a term of a loss; `sparsity` counts what is zero; `prox_path` trains at one strength
after another; `last_layer_path` solves a network's last layer exactly, with certificates. docs/networks.md shows them.

PyTorch is imported when one of these names is first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .last_layer import last_layer_path
    from .networks import NetworkPath, Sparsity, prox_path, sparsity
    from .proximal import Prox, penalty

_HOME = {"Prox": "proximal", "penalty": "proximal", "sparsity": "networks", "Sparsity": "networks",
         "prox_path": "networks", "NetworkPath": "networks", "last_layer_path": "last_layer"}

__all__ = ["NetworkPath", "Prox", "Sparsity", "last_layer_path", "penalty", "prox_path", "sparsity"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'regfast.torch' has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __package__), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "torch":
            raise
        raise ImportError(f"regfast.torch.{name} needs PyTorch, which is not installed: "
                          "pip install 'regfast[torch]'") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
