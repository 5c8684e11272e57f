"""What requests may say and what answers say: read by the API, and by its OpenAPI document."""

import base64
import binascii
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from worker.console.problems import Problem
from worker.receipts.corrections import FIELDS
from worker.receipts.receipt import MAX_ROWS, Day, Receipt
from worker.receipts.record import Record, Status
from worker.results.query import Row
from worker.results.selection import Selection

MAX_PAGE = 200
MAX_REPLAY = 1_000
MAX_ID_LENGTH = 3_000
Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=6)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Revision = Annotated[int, Field(ge=1, le=2**53)]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{2,3000}$")]


class _Asked(BaseModel):
    """Something that a request says; what it may not say is refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Listing(_Asked):
    """The parameters of a list."""

    status: list[Status] = Field([], max_length=4, description="Statuses; may be repeated.")
    merchant: ShortText | None = Field(None, description="The merchant's whole name, in any case.")
    merchant_like: ShortText | None = Field(None, description="A part of the merchant's name.")
    purchased_from: Day | None = Field(None, description="First day of purchase.")
    purchased_to: Day | None = Field(None, description="Last day of purchase.")
    uploaded_from: AwareDatetime | None = Field(None, description="First moment of upload.")
    uploaded_to: AwareDatetime | None = Field(None, description="Last moment of upload.")
    total_from: Amount | None = Field(None, description="Least total.")
    total_to: Amount | None = Field(None, description="Largest total.")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="Currency code."
    )
    endpoint: ShortText | None = Field(None, description="Endpoint that answered.")
    model: ShortText | None = Field(None, description="Version of the model that answered.")
    reason: ShortText | None = Field(None, description="Reason of what was rejected or failed.")
    content: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="SHA-256 of the file's bytes, in hex."
    )
    duplicates: bool | None = Field(None, description="Possible duplicates alone, or all others.")
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="Records of a page at most.")
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=6_000)] | None = Field(
        None, description="The `cursor` of the page before."
    )

    def selection(self) -> Selection:
        """Return what is asked for; raise `BadQuery` where it cannot be."""
        return Selection(
            statuses=tuple(self.status),
            merchant=self.merchant,
            merchant_like=self.merchant_like,
            purchased_from=self.purchased_from,
            purchased_to=self.purchased_to,
            uploaded_from=self.uploaded_from,
            uploaded_to=self.uploaded_to,
            total_from=self.total_from,
            total_to=self.total_to,
            currency=self.currency,
            endpoint=self.endpoint,
            model_version=self.model,
            reason=self.reason,
            content_sha256=self.content,
            duplicates=self.duplicates,
        )


class Uploading(_Asked):
    """The parameters of an upload."""

    name: ShortText = Field("receipt", description="Name of the file; its key ends with it.")


class Counting(_Asked):
    """The parameters of statistics."""

    days: int = Field(7, ge=1, le=366, description="Days of upload to count, today included.")


class Watching(_Asked):
    """The parameters of the live history."""

    since: float = Field(0, ge=0, le=1e11, description="Samples after this time, seconds since 1970.")


class Paging(_Asked):
    """The parameters of a preview."""

    page: int = Field(1, ge=1, le=500, description="Page of the document, from 1.")


class Nothing(_Asked):
    """No parameters."""


def _text(**form: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], **form}


_WORDS: Final = _text(maxLength=2_000)
_AMOUNT: Final = {
    "anyOf": [
        {"type": "string", "pattern": r"^[-+]?[0-9]{1,15}(\.[0-9]{1,10})?$"},
        {"type": "number", "minimum": -1e15, "maximum": 1e15},
        {"type": "null"},
    ]
}


def _rows(words: tuple[str, ...], amounts: tuple[str, ...]) -> dict[str, Any]:
    columns = dict.fromkeys(words, _WORDS) | dict.fromkeys(amounts, _AMOUNT)
    return {"type": ["array", "null"], "maxItems": MAX_ROWS, "items": {"type": "object", "properties": columns}}


_FORMS: Final[dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("subtotal", "discount", "tip", "total"), _AMOUNT),
    "purchase_date": _text(format="date"),
    "purchase_time": _text(pattern="^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"),
    "currency": _text(pattern="^[A-Z]{3}$"),
    "country": _text(pattern="^[A-Z]{2}$"),
    "language": _text(pattern="^[a-z]{2,3}$"),
    "payment.card_last_four": _text(pattern="^[0-9]{4}$"),
    "items": _rows(("description", "product_code"), ("quantity", "unit_price", "amount")),
    "taxes": _rows(("description",), ("rate", "net", "amount")),
}
"""What a correction may be; a path that is not here takes words. `Receipt` has the last word."""


class Correcting(_Asked):
    """A person's corrections."""

    corrections: Annotated[
        dict[Literal[FIELDS], Any],  # type: ignore[valid-type]  # the paths are known when this runs
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {path: _FORMS.get(path, _WORDS) for path in FIELDS},
            }
        ),
    ] = Field(
        {}, description="Values by the field's path, such as total or merchant.name; null: it is not on the receipt."
    )
    withdraw: list[Literal[FIELDS]] = Field(  # type: ignore[valid-type]  # see above
        [], max_length=100, description="Corrections to take back."
    )
    revision: Revision | None = Field(None, description="Revision that was looked at; another one is refused.")


class Approving(_Asked):
    """A person's approval."""

    revision: Revision | None = Field(None, description="Revision that was looked at; another one is refused.")
    by: ShortText | None = Field(None, description="Who approves.")


class Replaying(_Asked):
    """Uploads to work on again."""

    ids: list[Id] = Field(min_length=1, max_length=MAX_REPLAY, description="Ids of records.")
    force: bool = Field(False, description="Call the endpoint even where these bytes are answered already.")
    replay_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = Field(
        None, description="Name of the replay; sent again under the same name nothing is enqueued twice."
    )


class Taken(BaseModel):
    """An upload that the bucket has."""

    id: str
    document: str
    key: str


class ListedReceipt(Row):
    """One record of a list."""

    id: str


class ReceiptList(BaseModel):
    """A page of a list."""

    receipts: list[ListedReceipt]
    cursor: str | None
    read: int
    index: str


class WholeReceipt(Record, Receipt):
    """One record, with the fields of its receipt as they hold after corrections."""

    id: str


class Link(BaseModel):
    """Where the image is, for a short time."""

    url: str
    media_type: str | None
    expires_s: int


class Replay(BaseModel):
    """How far a replay has come."""

    replay_id: str
    uploads: int
    sent: int
    done: bool


class Queue(BaseModel):
    """Depth of the queue."""

    waiting: int
    in_flight: int
    delayed: int
    dead_letters: int | None


class ProblemDetails(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str


def id_of(document: str) -> str:
    """Return the id of `document`: its name as one part of a path."""
    return base64.urlsafe_b64encode(document.encode()).rstrip(b"=").decode()


def document_of(receipt_id: str) -> str:
    """Return the document that `receipt_id` stands for, or raise `Problem` 404."""
    try:
        document = base64.b64decode(receipt_id + "=" * (-len(receipt_id) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise Problem(404, "There is no such receipt.") from error
    # one document has one id, and what is no document (a content, a replay) is none
    if len(receipt_id) > MAX_ID_LENGTH or ":" in document.partition("/")[0] or id_of(document) != receipt_id:
        raise Problem(404, "There is no such receipt.")
    return document
