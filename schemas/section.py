"""What every part of a recipe has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the recipe; an unknown key is a fault."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)
