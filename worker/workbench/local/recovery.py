"""Recovery after a run that was killed: all its uploads exist, but queue and table are as of the last save."""

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from worker.messages.parse import replay_body
from worker.messages.queue import Entry, Queue
from worker.replay.manifest import MOST_AT_A_TIME
from worker.replay.replayer import new_id
from worker.replay.sources import batches, from_prefix, uploads_of
from worker.results.query import Results

if TYPE_CHECKING:
    from worker.aws.clients import Clients
    from worker.workbench.local.provision import Provisioned


async def enqueue_unrecorded(aws: "Clients", made: "Provisioned") -> int:
    """Enqueue every object without a record; return their number. A second message for an upload does no harm."""
    results, queue = Results(aws.dynamodb, made.table), Queue(aws.sqs, made.queue_url)
    replay_id, count = new_id(dt.datetime.now(dt.UTC)), 0
    unrecorded = from_prefix(results, aws.s3, made.bucket, "", recorded=False)
    async for batch in batches(uploads_of(unrecorded), MOST_AT_A_TIME):
        bodies = (replay_body(dataclasses.replace(upload, replay_id=replay_id)) for upload in batch)
        await queue.send([Entry(body) for body in bodies])
        count += len(batch)
    return count
