"""Certified L1, L2 and elastic-net models: paths, cross-validation, scikit-learn estimators."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import conventions, families, reference
    from .certificate import Certificate, certify
    from .convert import from_sklearn, to_sklearn
    from .cv import fit_cv
    from .cvpath import CVPath
    from .displays import CVDisplay, PathDisplay
    from .enet_cv import ElasticNetCV, LassoCV, MultiTaskElasticNetCV, MultiTaskLassoCV
    from .estimators import ElasticNet, Lasso
    from .foreign import certify_estimator
    from .glm import GammaRegressor, PoissonRegressor, TweedieRegressor
    from .information import Criteria
    from .logistic import LogisticRegression
    from .logistic_cv import LogisticRegressionCV
    from .multitask import MultiTaskElasticNet, MultiTaskLasso
    from .nested import Comparison, NestedScore, compare_penalties, score_nested
    from .patch import patch_sklearn, unpatch_sklearn
    from .path import alpha_max, fit_path
    from .result import Path
    from .ridge_cv import RidgeClassifierCV, RidgeCV
    from .ridge_estimators import Ridge, RidgeClassifier
    from .skpaths import enet_path, lasso_path
    from .store import load

# Where each public name lives. Modules are imported when a name is first touched: `import regfast` costs next to
# nothing, and scikit-learn is loaded only with an estimator.
_HOME = {
    "fit_path": "path", "alpha_max": "path", "fit_cv": "cv", "certify": "certificate", "Certificate": "certificate",
    "Criteria": "information",
    "Path": "result", "CVPath": "cvpath", "load": "store", "Lasso": "estimators", "ElasticNet": "estimators",
    "lasso_path": "skpaths", "enet_path": "skpaths", "PoissonRegressor": "glm", "GammaRegressor": "glm",
    "TweedieRegressor": "glm", "LogisticRegression": "logistic", "MultiTaskLasso": "multitask",
    "MultiTaskElasticNet": "multitask", "Ridge": "ridge_estimators", "RidgeClassifier": "ridge_estimators",
    "RidgeCV": "ridge_cv", "RidgeClassifierCV": "ridge_cv", "LassoCV": "enet_cv", "ElasticNetCV": "enet_cv",
    "MultiTaskLassoCV": "enet_cv", "MultiTaskElasticNetCV": "enet_cv", "LogisticRegressionCV": "logistic_cv",
    "score_nested": "nested", "compare_penalties": "nested", "PathDisplay": "displays", "CVDisplay": "displays",
    "NestedScore": "nested", "Comparison": "nested", "certify_estimator": "foreign", "to_sklearn": "convert",
    "from_sklearn": "convert", "patch_sklearn": "patch", "unpatch_sklearn": "patch", "conventions": "", "families": "",
    "reference": "", "torch": "",  # (the last not in __all__: a star import must not hide PyTorch)
}

__all__ = ["CVDisplay", "CVPath", "Certificate", "Comparison", "Criteria", "ElasticNet", "ElasticNetCV",
           "GammaRegressor", "Lasso", "LassoCV", "LogisticRegression", "LogisticRegressionCV", "MultiTaskElasticNet",
           "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV", "NestedScore", "Path", "PathDisplay",
           "PoissonRegressor", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV", "TweedieRegressor",
           "__version__", "alpha_max", "certify", "certify_estimator", "compare_penalties", "conventions", "enet_path",
           "families", "fit_cv", "fit_path", "from_sklearn", "lasso_path", "load", "patch_sklearn", "reference",
           "score_nested", "to_sklearn", "unpatch_sklearn"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'regfast' has no attribute {name!r}")
    try:
        module = import_module(f".{_HOME[name] or name}", __name__)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("regfast._"):
            raise ImportError("regfast is not built here: this is its source folder, which hides an installed one. "
                              "Run from another folder, use `python -P`, or install it (pip install .)") from error
        raise
    value = getattr(module, name) if _HOME[name] else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
