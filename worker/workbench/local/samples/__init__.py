"""Sample receipts of invented shops, each with its truth: what a run without files of its own shows.

The files are committed; `draw` made them and can make them anew.
"""

import json
from pathlib import Path
from typing import Any, cast

FILES = Path(__file__).parent / "files"
"""The folder of the sample files."""
TRUTH_FILE = "truth.json"


def sample_files() -> list[Path]:
    """Return the samples' paths, in the order in which they are shown."""
    return [FILES / name for name in truth()]


def truth() -> dict[str, dict[str, Any]]:
    """Return, by file name, what stands on each sample: a `Receipt` as JSON values, null where nothing is printed."""
    return cast("dict[str, dict[str, Any]]", json.loads((FILES / TRUTH_FILE).read_text(encoding="utf-8")))
