"""Preparation: CPU time of one photo of 12 megapixels, compared with Pillow alone."""

import io
import time
from typing import TYPE_CHECKING

from PIL import Image

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.serving import PHOTO, photo
from worker.extraction.pages import ImageLimits
from worker.extraction.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = ImageLimits()
GOAL = (LIMITS.max_side, LIMITS.max_side * PHOTO[1] // PHOTO[0])


def measure(bench: Bench) -> Result:
    """Time the worker's preparation and two ways of using Pillow in turn."""
    data = photo(bench.scratch).read_bytes()
    ways: dict[str, Callable[[bytes], object]] = {
        "preparation_ms": lambda data: prepare(data, LIMITS),
        "pillow_ms": lambda data: _pillow(data, draft=False),
        "pillow_draft_ms": lambda data: _pillow(data, draft=True),
    }
    used: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(bench.runs + 1):
        bench.tell(f"preparation: run {run}")
        for name, way in ways.items():
            began = time.process_time()
            way(data)
            if run:  # the first run fills caches
                used[name].append(1_000 * (time.process_time() - began))
    result = Result()
    result.add("preparation_ms", of=used["preparation_ms"], what="CPU of preparing a photo", unit="ms", digits=0)
    result.add("pillow_ms", of=used["pillow_ms"], what="Pillow: open, resize, save", unit="ms", digits=0)
    result.add("pillow_draft_ms", of=used["pillow_draft_ms"], what="Pillow with a draft first", unit="ms", digits=0)
    return result


def _pillow(data: bytes, *, draft: bool) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        if draft:
            image.draft("RGB", GOAL)
        small = image.resize(GOAL, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=LIMITS.jpeg_quality)
    return buffer.getvalue()
