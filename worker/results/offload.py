"""Receipts that are too large for a row are stored in the bucket, and the row points to them.

DynamoDB limits an item to 400 KB (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
"""

from typing import TYPE_CHECKING, Final

from worker.aws.resources import OWN_PREFIX
from worker.receipts.receipt import Receipt
from worker.resilience.dependency import Dependency
from worker.results.answer import Answer

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

MOST_BYTES: Final = 120_000
"""Largest JSON of a receipt that a row holds, bytes: the row has it twice, as attributes and as the map `receipt`."""


class Offload:
    """Keeps rows within the limit of DynamoDB."""

    def __init__(self, s3: "S3Client", dependency: Dependency) -> None:
        self._s3 = s3
        self._dependency = dependency

    async def fit_answer(self, answer: Answer, *, bucket: str, sha256: str) -> Answer:
        """Return `answer`; if its receipt is too large, store it in `bucket` and leave the items out."""
        if len(answer.text.encode()) <= MOST_BYTES:  # the receipt is part of the answer
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
        same = {
            name: getattr(answer, name) for name in Answer.model_fields
        }  # model_copy would keep the cached text of the whole
        return Answer(**same | {"reading": reading, "receipt_object": f"{bucket}/{key}"})


def _short(receipt: Receipt) -> Receipt:
    """Return `receipt` without its items and, if a model filled those as well, without its taxes."""
    short = receipt.model_copy(update={"items": ()})
    large = len(short.model_dump_json().encode()) > MOST_BYTES
    return short.model_copy(update={"taxes": ()}) if large else short
