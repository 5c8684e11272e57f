"""Sample receipts of invented shops with their truth. `receipts local` reads them if it gets no files.

The files are committed. `draw` creates them again.
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
    """Return the contents of each sample by file name: a `Receipt` as JSON values, null if a field is not printed."""
    return cast("dict[str, dict[str, Any]]", json.loads((FILES / TRUTH_FILE).read_text(encoding="utf-8")))
