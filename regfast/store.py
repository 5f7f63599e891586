"""Models as JSON that a person can read; the repr of a float64 reads back to the same bits."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._version import __version__
from .cvpath import CVPath
from .information import Criteria
from .multipath import MultiPath
from .result import Path
from .rules import Rule


def save_path(path: Path, file: str | os.PathLike[str]) -> None:
    """Write a path."""
    _write(file, {"regfast": __version__, "type": "Path", "path": _pack(path)})


def save_cv(cv: CVPath, file: str | os.PathLike[str]) -> None:
    """Write a cross-validated path, the selected models first."""
    _write(file, {"regfast": __version__, "type": "CVPath", **_summary(cv), "cv": _pack(cv)})


def _summary(cv: CVPath) -> dict[str, Any]:
    """What a person opens the file for: the selected models, by name."""
    out: dict[str, Any] = {
        "objective": "sum_i w_i l(y_i, o_i + b0 + x_i.b) / sum_i w_i + alpha sum_j v_j "
                     "(l1_ratio s_j |b_j| + (1 - l1_ratio)/2 s_j^2 b_j^2), l the family's negative log-likelihood, "
                     "averaged over dropout",
        "family": cv.path.family, "l1_ratio": cv.l1_ratio_best, "dropout": cv.dropout_best,
        "standardize": cv.path.standardize, "models": {}}
    names = cv.path.names
    rules: tuple[Rule, ...] = ("min", "1se")
    for rule in rules:
        models = {output: {"intercept": intercept,
                           "coefficients": {str(names[j]): float(coef[j]) for j in np.flatnonzero(coef)}}
                  for output, coef, intercept in cv.models(rule)}
        several = {"outputs": {str(output): model for output, model in models.items()}}
        out["models"][rule] = {"alpha": cv.alpha(rule), **(models.get(None) or several)}
    return out


def _pack(result: Any) -> dict[str, Any]:
    return {field.name: _encode(getattr(result, field.name)) for field in fields(result)}


def _encode(x: Any) -> Any:
    if isinstance(x, sp.csc_array):
        return {"shape": list(x.shape), "data": x.data.tolist(), "indices": x.indices.tolist(),
                "indptr": x.indptr.tolist()}
    if isinstance(x, np.ndarray) and x.dtype.kind == "S":
        return {"bytes": [label.decode("latin-1") for label in x.tolist()]}
    if isinstance(x, np.ndarray):
        return _strict(x).tolist() if x.dtype.kind == "f" and not np.isfinite(x).all() else x.tolist()
    if isinstance(x, (tuple, list)):
        return [_encode(v) for v in x]
    return _pack(x) if isinstance(x, Path) else x


def _strict(x: Any) -> Any:
    """JSON has no NaN or infinity: they become the words that NumPy reads back."""
    out = x.astype(object)
    out[~np.isfinite(x)] = [str(v) for v in x[~np.isfinite(x)]]
    return out


def _write(file: str | os.PathLike[str], content: dict[str, Any]) -> None:
    with open(file, "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, allow_nan=False)
        out.write("\n")


def _array(x: Any, kind: str) -> Any:
    return None if x is None else np.array(x, dtype=kind)


def _unpack_path(d: dict[str, Any]) -> Path:
    several = isinstance(d["coefs"], list)
    d = dict(d)
    d["coefs"] = [_matrix(c) for c in d["coefs"]] if several else _matrix(d["coefs"])
    for name in ("alphas", "intercepts", "deviance_ratio", "gaps", "n_passes", "scales", "penalty_factors"):
        d[name] = _array(d[name], "f8")
    for name in ("n_nonzero", "n_iter"):
        d[name] = _array(d[name], "i8")
    d["status"] = np.array(d["status"], dtype=np.str_)
    d["feature_names_in_"] = _array(d["feature_names_in_"], "O")
    labels = d["classes_"]
    if isinstance(labels, dict):
        labels = [label.encode("latin-1") for label in labels["bytes"]]
    d["classes_"] = None if labels is None else np.array(labels)
    if d["bounds"] is not None:
        d["bounds"] = tuple(_array(side, "f8") for side in d["bounds"])
    return MultiPath(**d) if several else Path(**d)


def _matrix(c: dict[str, Any]) -> sp.csc_array:
    return sp.csc_array((np.array(c["data"], dtype="f8"), np.array(c["indices"], dtype="i4"),
                         np.array(c["indptr"], dtype="i4")), shape=tuple(c["shape"]))


def load(file: str | os.PathLike[str]) -> Path | CVPath:
    """Read what `save` wrote.

    Raises
    ------
    ValueError
        The file is not JSON written by `save`.
    """
    with open(file, encoding="utf-8") as source:
        try:
            content = json.load(source)
        except ValueError as error:
            raise ValueError(f"{os.fspath(file)} is not a regfast model: {error}") from None
    if not isinstance(content, dict) or content.get("type") not in ("Path", "CVPath"):
        raise ValueError(f"{os.fspath(file)} is not a regfast model: no \"type\" of Path or CVPath")
    try:
        if content["type"] == "Path":
            return _unpack_path(content["path"])
        d = dict(content["cv"])
        d["path"] = _unpack_path(d["path"])
        for name in ("scores", "score_mean", "score_se", "oof_predictions", "l1_ratios", "l1_scores", "train_mean",
                     "dropouts", "dropout_scores"):
            d[name] = _array(d.get(name), "f8")
        if d["criteria"] is not None:
            d["criteria"] = Criteria(*(_array(part, "f8") for part in d["criteria"]))
        if d["folds"] is not None:
            d["folds"] = [(_array(train, "i8"), _array(test, "i8"), _unpack_path(path))
                          for train, test, path in d["folds"]]
        return CVPath(**d)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{os.fspath(file)} is not a regfast model of this version: {error!r}") from None
