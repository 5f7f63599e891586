"""What every estimator can say of itself to other libraries."""

from __future__ import annotations

from typing import Any

from .equivalents import Code, equivalent
from .readers import reader_of


class Exchange:
    """An estimator that other libraries can be told about."""

    def to_sklearn(self) -> Any:
        """scikit-learn's estimator of this name, fitted if this one is: see `regfast.to_sklearn`."""
        from .convert import to_sklearn

        return to_sklearn(self)

    def equivalent(self, library: str) -> Code:
        """Code that fits the same objective in another library, right in every constant.

        Parameters
        ----------
        library : {"glmnet", "sklearn", "liblinear", "statsmodels", "spark"}
            glmnet's is R. All of it reads X and y; sample weights are to be put in where it says so.

        Returns
        -------
        str
            Shown as code at the prompt. An estimator with cross-validation states the model that it chose. A
            LogisticRegression that is not fitted is taken to have two classes.

        Raises
        ------
        ValueError
            `library` is not known or has no such model: the message says what it lacks. Or nothing is chosen yet.
        """
        reader = reader_of(self)
        if reader.coding == "signs":
            name = type(self).__name__
            raise ValueError(f"{name} is Ridge on responses of ±1, one for each class: Ridge(alpha=...).equivalent("
                             f"{library!r}) is its code, with those as y (scikit-learn has it as one: to_sklearn)")
        return equivalent(reader.state(self, None), library)
