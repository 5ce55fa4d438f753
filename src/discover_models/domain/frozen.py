"""The base of all values."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value that compares by content and refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
