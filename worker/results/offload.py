"""What is too large for a row of the table goes to the bucket and is pointed to: an item never passes 400 KB."""

from typing import TYPE_CHECKING, Final

from worker.aws.resources import OWN_PREFIX
from worker.receipts.receipt import Receipt
from worker.resilience.dependency import Dependency
from worker.results.store import Answer

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

MOST_BYTES: Final = 120_000
"""JSON of a receipt that may stand in a row. DynamoDB's limit is 400 KB an item, and a receipt stands there twice: as
attributes and as the map `receipt` (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""


class Offload:
    """Keeps rows within DynamoDB's limit."""

    def __init__(self, s3: "S3Client", dependency: Dependency) -> None:
        self._s3 = s3
        self._dependency = dependency

    async def fit_answer(self, answer: Answer, *, bucket: str, sha256: str) -> Answer:
        """Return `answer`, its receipt written to `bucket` and left without its items where it is too large."""
        if len(answer.text.encode()) <= MOST_BYTES:  # the receipt is a part of it
            return answer
        text = answer.reading.receipt.model_dump_json()
        if len(text.encode()) <= MOST_BYTES:
            return answer
        key = f"{OWN_PREFIX}receipts/{sha256}.json"
        await self._dependency.call(
            lambda: self._s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json"),
            work=answer.document,
        )
        reading = answer.reading.model_copy(update={"receipt": _short(answer.reading.receipt)})
        same = {name: getattr(answer, name) for name in Answer.model_fields}  # a copy would keep the text of the whole
        return Answer(**same | {"reading": reading, "receipt_object": f"{bucket}/{key}"})


def _short(receipt: Receipt) -> Receipt:
    """Return `receipt` without its items and, where those of a hostile model are large as well, its taxes."""
    short = receipt.model_copy(update={"items": ()})
    large = len(short.model_dump_json().encode()) > MOST_BYTES
    return short.model_copy(update={"taxes": ()}) if large else short
