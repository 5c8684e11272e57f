"""The models of requests and answers, used by the API and by its OpenAPI document."""

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
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{2,3000}$")]


class _Asked(BaseModel):
    """The base of request models. An unknown field is refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Listing(_Asked):
    """The parameters of a list."""

    status: list[Status] = Field([], max_length=4, description="Status; may be repeated.")
    merchant: ShortText | None = Field(None, description="The merchant's full name, in upper or lower case.")
    merchant_like: ShortText | None = Field(None, description="Part of the merchant's name.")
    purchased_from: Day | None = Field(None, description="First day of purchase.")
    purchased_to: Day | None = Field(None, description="Last day of purchase.")
    uploaded_from: AwareDatetime | None = Field(None, description="Earliest time of upload.")
    uploaded_to: AwareDatetime | None = Field(None, description="Latest time of upload.")
    total_from: Amount | None = Field(None, description="Smallest total.")
    total_to: Amount | None = Field(None, description="Largest total.")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="Currency code."
    )
    endpoint: ShortText | None = Field(None, description="Endpoint that answered.")
    model: ShortText | None = Field(None, description="Version of the model that answered.")
    reason: ShortText | None = Field(None, description="Reason why the upload was rejected, failed or needs review.")
    content: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="SHA-256 of the file's bytes, in hex."
    )
    duplicates: bool | None = Field(None, description="true: only possible duplicates; false: all others.")
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="Most records of one page.")
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=6_000)] | None = Field(
        None, description="The `cursor` of the previous page."
    )

    def selection(self) -> Selection:
        """Return the selection. Raises `BadQuery` if its conditions are not valid."""
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

    name: ShortText = Field("receipt", description="Name of the file. The key of the upload ends with it.")


class Counting(_Asked):
    """The parameters of statistics."""

    days: int = Field(7, ge=1, le=366, description="Days of upload to count, including today.")


class Watching(_Asked):
    """The parameters of the live history."""

    since: float = Field(0, ge=0, le=1e11, description="Only samples after this time, in seconds since 1970.")


class Paging(_Asked):
    """The parameters of a preview."""

    page: int = Field(1, ge=1, le=500, description="Page of the file, starting at 1.")


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
"""JSON schemas of corrections by path. Paths not listed take text. The final validation is by `Receipt`."""


class Correcting(_Asked):
    """A person's corrections."""

    corrections: Annotated[
        dict[Literal[FIELDS], Any],  # type: ignore[valid-type]  # the paths are only known at run time
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {path: _FORMS.get(path, _WORDS) for path in FIELDS},
            }
        ),
    ] = Field(
        {}, description="Values by field path, such as total or merchant.name. null: the field is not on the receipt."
    )
    withdraw: list[Literal[FIELDS]] = Field(  # type: ignore[valid-type]  # see above
        [], max_length=100, description="Paths of corrections to remove."
    )
    revision: Revision | None = Field(
        None, description="Revision that the person looked at. The request fails if the record has another one."
    )


class Approving(_Asked):
    """A person's approval."""

    revision: Revision | None = Field(
        None, description="Revision that the person looked at. The request fails if the record has another one."
    )
    by: ShortText | None = Field(None, description="Name of the person who approves.")


class Replaying(_Asked):
    """A request to process uploads again."""

    ids: list[Id] = Field(min_length=1, max_length=MAX_REPLAY, description="Ids of records.")
    force: bool = Field(False, description="Call the endpoint even for contents that have an answer.")
    replay_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = Field(
        None, description="Name of the replay. Repeating a request with the same name enqueues nothing twice."
    )


class Taken(BaseModel):
    """An accepted upload."""

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
    """One record, with the fields of its receipt after corrections."""

    id: str


class Link(BaseModel):
    """A link to the image, valid for a short time."""

    url: str
    media_type: str | None
    expires_s: int


class Replay(BaseModel):
    """Progress of a replay."""

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
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def id_of(document: str) -> str:
    """Return the id of `document`: its name encoded as one path segment."""
    return base64.urlsafe_b64encode(document.encode()).rstrip(b"=").decode()


def document_of(receipt_id: str) -> str:
    """Return the document that `receipt_id` stands for. Raises `Problem` 404 if it is not valid."""
    try:
        document = base64.b64decode(receipt_id + "=" * (-len(receipt_id) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise Problem(404, "The receipt does not exist.") from error
    # Each document has exactly one id, and content rows and replays have none.
    if len(receipt_id) > MAX_ID_LENGTH or ":" in document.partition("/")[0] or id_of(document) != receipt_id:
        raise Problem(404, "The receipt does not exist.")
    return document
