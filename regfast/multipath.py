"""The path of several linear predictors: what `Path` holds for one, for each of C classes."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from . import families
from .predictor import linear_predictor
from .result import Kind, Path
from .validation import Float, as_data

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class MultiPath(Path):
    """A path with coefficients for each of C classes.

    Attributes are those of `Path`, but for

    Attributes
    ----------
    coefs : list of C csc_array (p, n_alphas)
    intercepts : (C, n_alphas) float64
        Of mean 0 over classes: only their differences matter.
    n_nonzero : (n_alphas,) int64
        Features with a coefficient in any class.
    classes_ : (C,), or None for several responses
    grouped : bool
        The coefficients of a feature enter together.
    """

    coefs: Any
    grouped: bool = False

    def __repr__(self) -> str:
        C = f"{len(self.coefs)} {'responses' if self.classes_ is None else 'classes'}"
        if not len(self):
            return f"MultiPath(no alphas solved, {C}, {self.path_status})"
        return (f"MultiPath({len(self)} alphas from {self.alphas[0]:.4g} to {self.alphas[-1]:.4g}, {C}, "
                f"{self.coefs[0].shape[0]} features, {self.n_nonzero[0]} to {self.n_nonzero[-1]} non-zero, "
                f"{self._dropped}{self.path_status}, worst {self.gap_kind} {self.gaps.max():.1e})")

    @property
    def outputs(self) -> list[Any]:
        """What each linear predictor is called: its class, or the number of its response."""
        return list(range(len(self.coefs))) if self.classes_ is None else list(self.classes_.tolist())

    def of(self, label: Any) -> Path:
        """The coefficients of one class or response, as a path of its own to look at; `predict` needs all of them."""
        at = [c for c, output in enumerate(self.outputs) if output == label]
        if len(at) != 1:
            raise ValueError(f"label must be one of {self.outputs}; got {label!r}")
        kept = {field.name: getattr(self, field.name) for field in fields(Path)}
        coefs = self.coefs[at[0]]
        return Path(**kept | {"coefs": coefs, "intercepts": self.intercepts[at[0]],
                              "n_nonzero": np.diff(coefs.indptr).astype(np.int64)})

    def _exactly(self, alpha: float, X: Any, y: Any, **fit_args: Any) -> Path:
        return super()._exactly(alpha, X, y, group_classes=self.grouped, **fit_args)

    def coef_at(self, alpha: float, *, exact: bool = False, X: Any = None, y: Any = None, **fit_args: Any) -> Float:
        """Coefficients at any α, (C, p); as `Path.coef_at`."""
        if exact:
            return np.array([part[:, [0]].toarray()[:, 0] for part in self._exactly(alpha, X, y, **fit_args).coefs])
        i, j, t = self._weights(alpha)
        return np.array([(1 - t) * part[:, [i]].toarray()[:, 0] + t * part[:, [j]].toarray()[:, 0]
                         for part in self.coefs])

    def intercept_at(self, alpha: float, *, exact: bool = False, X: Any = None, y: Any = None, **fit_args: Any) -> Any:
        """Intercepts at any α, (C,); as `Path.coef_at`."""
        if exact:
            return np.asarray(self._exactly(alpha, X, y, **fit_args).intercepts[:, 0])
        i, j, t = self._weights(alpha)
        return np.asarray((1 - t) * self.intercepts[:, i] + t * self.intercepts[:, j])

    def linear(self, X: Any, alpha: float | None = None) -> Float:
        """Linear predictors without an offset, (n, C) or (n, n_alphas, C), for the X of `as_data`."""
        models = (self.coefs, self.intercepts) if alpha is None else (self.coef_at(alpha), self.intercept_at(alpha))
        return np.stack([linear_predictor(X, b, b0) for b, b0 in zip(*models, strict=True)], axis=-1)

    def predict(self, X: Any, alpha: float | None = None, offset: Any = None, kind: Kind = "response") -> Float:
        """Predictions for new rows: (n, C) at one α, (n, n_alphas, C) for alpha=None; without C for kind="class".

        Parameters
        ----------
        X : (n, p) table or matrix
        alpha : float, optional
        offset : (n, C), required if and only if the fit had one
        kind : {"response", "link", "class"}
            Probabilities; linear predictors; the most probable label.

        Raises
        ------
        ValueError
            X has another number of columns or other names, or `offset` is missing or not wanted.
        """
        if kind not in ("response", "link", "class"):
            raise ValueError(f"kind must be 'response', 'link' or 'class'; got {kind!r}")
        data = as_data(X)
        self._check_columns(data.design.p, data.names)
        if self.has_offset != (offset is not None):
            raise ValueError("this path was fitted with an offset: predict needs offset=" if self.has_offset
                             else "offset given, but this path was fitted without one")
        eta = self.linear(data.X, alpha)
        if offset is not None:
            shift = families.get(self.family).shift(offset, data.design.n, len(self.coefs)).T
            eta = eta + (shift if alpha is not None else shift[:, None])
        if kind == "class" and self.classes_ is not None:
            return np.asarray(self.classes_[eta.argmax(axis=-1)])
        return families.get(self.family).inverse(eta) if kind == "response" else eta

    def _check_columns(self, p: int, names: Any) -> None:
        self.of(self.outputs[0])._check_columns(p, names)

    @property
    def names(self) -> Any:
        """(p,) feature names, x0, x1, … where the input had none."""
        return self.of(self.outputs[0]).names

    @property
    def n_coefs(self) -> Any:
        """(n_alphas,) how many coefficients are not zero, over all classes."""
        return np.sum([np.diff(part.indptr) for part in self.coefs], axis=0)

    def to_frame(self) -> DataFrame:
        """One row per α and class (pandas): what is known of the solution, then the coefficients ever selected."""
        import pandas as pd

        frames = [self.of(label).to_frame() for label in self.outputs]
        for label, frame in zip(self.outputs, frames, strict=True):
            frame.insert(1, "response" if self.classes_ is None else "class", label)
        return pd.concat(frames, ignore_index=True).fillna(0.0)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the path as JSON that `regfast.load` reads; bit for bit, without pickle."""
        from .store import save_path

        save_path(self, file)


def joined(parts: list[sp.csc_array]) -> Any:
    """(n_alphas,) in how many features any class has a coefficient."""
    total = sum((abs(part) for part in parts[1:]), abs(parts[0]))
    return np.diff(sp.csc_array(total).indptr).astype(np.int64)
