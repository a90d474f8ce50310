"""The reservation of a host by a session."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict


class Lease(BaseModel):
    """Another session's lease, as the host reports it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session: str = "another"
    owner: str = "somebody"
    until: float | None = None

    @property
    def description(self) -> str:
        """Its session, owner and end by the host's clock, for messages."""
        text = f"session {self.session[:80]} of {self.owner[:80]}"
        if self.until is None or not 0 < self.until < 1e11:
            return text
        return f"{text}, until {datetime.fromtimestamp(self.until, UTC):%H:%M:%S} UTC at the latest"
