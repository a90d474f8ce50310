from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every type of the model: immutable; unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
