"""Machine faults: what they are, and that they reject no receipt."""

import asyncio
import errno
import io

import pytest
from PIL import Image

from tests.support.virtual import now, virtual
from worker.errors import Rejected
from worker.extraction import prepare as preparation
from worker.extraction import raster
from worker.extraction.pages import ImageLimits
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.resilience.faults import SuspectFault, classify
from worker.resilience.machine import machine_fault

EXHAUSTED = [
    (OSError(errno.EMFILE, "Too many open files"), "out_of_descriptors"),
    (OSError(errno.ENFILE, "Too many open files in system"), "out_of_descriptors"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
    (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
    (MemoryError(), "out_of_memory"),
    (ImportError("cannot import name"), "broken_installation"),
]


def picture() -> bytes:
    """Return a PNG that is too large to be passed on."""
    buffer = io.BytesIO()
    Image.new("RGB", (3_000, 2_500), "white").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("error", "reason"), EXHAUSTED)
def test_exhaustion_is_recognized_also_as_a_cause(error: Exception, reason: str) -> None:
    """Decoders wrap errors, so the chain of causes counts."""
    wrapped = ValueError("cannot decode")
    wrapped.__cause__ = error
    assert machine_fault(error) == machine_fault(wrapped) == reason
    assert machine_fault(ValueError("broken")) is None
    assert machine_fault(OSError("image file is truncated")) is None
    fault = classify("machine", error)
    assert isinstance(fault, SuspectFault)
    assert fault.reason == reason


def test_an_optional_module_that_is_missing_blames_no_machine() -> None:
    """An error of the picture, raised while a decoder handles an ImportError, is the picture's."""
    broken = ValueError("broken picture")
    broken.__context__ = ImportError("no optional module")
    assert machine_fault(broken) is None
    broken.__context__ = MemoryError()
    assert machine_fault(broken) == "out_of_memory"


@pytest.mark.parametrize(("error", "reason"), EXHAUSTED)
def test_no_receipt_is_rejected_for_it(error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the machine leaves preparation as it is; a broken picture is rejected."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(raster, "upright", fails)
    with pytest.raises(type(error)) as raised:
        preparation.prepare(picture(), ImageLimits())
    assert machine_fault(raised.value) == reason
    monkeypatch.undo()
    with pytest.raises(Rejected, match="truncated"):
        preparation.prepare(picture()[:-400], ImageLimits())


@virtual
async def test_decoding_waits_until_the_machine_recovers() -> None:
    """An hour without descriptors costs no attempt: every picture is decoded afterwards."""
    machine = Dependency("machine", Breaker("machine", BreakerPolicy(), clock=now), RetryPolicy())
    exhausted = True

    async def decode() -> str:
        await asyncio.sleep(0.01)
        if exhausted:
            raise OSError(errno.EMFILE, "Too many open files")
        return "decoded"

    decoding = [asyncio.create_task(machine.call(decode, work=f"{number}")) for number in range(8)]
    await asyncio.sleep(3_600)
    assert machine.breaker.open
    assert not any(task.done() for task in decoding)
    exhausted = False
    assert await asyncio.gather(*decoding) == ["decoded"] * 8
