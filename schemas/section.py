"""What every part of a recipe has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=2**53)]  # above, not every whole number is a float: pandas would round it


class Section(BaseModel):
    """A part of the recipe; an unknown key is a fault."""

    # what stands below a key as a text is what `phantom help`, docs/recipe.md and editors say of it
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
