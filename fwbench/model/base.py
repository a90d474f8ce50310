"""The base class of all models."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every model: immutable; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
