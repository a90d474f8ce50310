from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every type of the model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
