"""The answer of the endpoint to one content, as the content row holds it."""

from functools import cached_property

from pydantic import BaseModel, ConfigDict

from worker.receipts.receipt import Reading
from worker.receipts.record import ModelIdentity


class Answer(BaseModel):
    """The answer of the endpoint to one content, and the document that it was requested for."""

    model_config = ConfigDict(frozen=True)

    reading: Reading
    model: ModelIdentity
    attempts: int
    answered_at: str
    document: str
    media_type: str
    pages: int
    receipt_object: str | None = None
    """`bucket/key` of the whole receipt if it is too large for a row."""

    @cached_property
    def text(self) -> str:
        """The answer as the row holds it: JSON."""
        return self.model_dump_json()
