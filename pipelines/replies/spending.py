"""What the calls of a build cost so far, for who watches it: read from its ledger as that grows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.replies.ledger import Ledger, Spend
from schemas.recipe import Budget, Model


@dataclass
class Spending:
    """The ledger of a working folder, looked at now and then, at the prices of a recipe's models."""

    folder: Path
    models: Mapping[str, Model]
    _ledger: Ledger | None = field(default=None, repr=False)

    def __call__(self) -> Spend | None:
        """Return what was spent by now, None where nobody was asked yet."""
        if not (self.models and self.folder.is_dir()):
            return None
        if self._ledger is None:
            self._ledger = Ledger(self.folder, Budget(), self.models)
        self._ledger.refresh()
        return self._ledger.spent()


def about_models(models: Mapping[str, Model]) -> dict[str, Any]:
    """Return what a build notes of its models, by which its ledger can be read without the recipe."""
    names = ('model', 'revision', 'price_prompt', 'price_completion')
    return {'models': {name: {of: getattr(model, of) for of in names} for name, model in models.items()}}
