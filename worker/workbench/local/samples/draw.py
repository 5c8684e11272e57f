"""Draw the sample receipts: `python -m worker.workbench.local.samples.draw [FOLDER]`.

Picture and truth come from the same data, so they cannot differ. The file's name seeds the drawing, so the picture is
the same every time. Drawing needs matplotlib (for its typefaces) and numpy; using the samples does not.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pillow_heif
from PIL import Image

from worker.workbench.local.samples import FILES, TRUTH_FILE, americas, asia, central_europe, western_europe
from worker.workbench.local.samples.layout import Sample
from worker.workbench.local.samples.paper import draw
from worker.workbench.local.samples.photo import Photo, photographed, scanned

SAMPLES: tuple[Callable[[], Sample], ...] = (
    western_europe.bistro,
    americas.diner,
    central_europe.supermarket,
    western_europe.chemist,
    americas.cafe,
    central_europe.stationer,
    central_europe.electronics,
    asia.kopitiam,
    asia.courtyard,
    asia.coffee,
    americas.hardware,
    western_europe.bookshop,
    americas.grocery,
)

EXIF_ORIENTATION = 0x0112
TURN_RIGHT_TO_SEE = 6
"""The EXIF orientation for which viewers rotate the picture by 90 degrees clockwise."""
DRAWN_AT = time.gmtime(0)
"""The date in the PDF, fixed so that the file is reproducible."""


def picture(sample: Sample) -> Image.Image:
    """Return the sample's picture, upright."""
    rng = np.random.default_rng(crc32(sample.file.encode()))
    paper = draw(sample.roll, rng)
    if isinstance(sample.taken, Photo):
        return photographed(paper, sample.taken, rng)
    return scanned(paper, sample.taken) if sample.taken else paper


def save(sample: Sample, folder: Path) -> Path:
    """Write the sample in the format of its file's suffix; return the path."""
    image, path, options = picture(sample), folder / sample.file, dict[str, Any]()
    if sample.turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
        options["exif"] = Image.Exif()
        options["exif"][EXIF_ORIENTATION] = TURN_RIGHT_TO_SEE
    match path.suffix:
        case ".jpg":
            image.save(path, quality=78, optimize=True, **options)
        case ".png":
            image.convert("L").quantize(16).save(path, optimize=True)
        case ".heic":
            pillow_heif.from_pillow(image).save(path, quality=50)
        case ".pdf":
            image.convert("L").save(path, resolution=150, quality=80, creationDate=DRAWN_AT, modDate=DRAWN_AT)
        case suffix:
            raise ValueError(f"{sample.file}: a sample must be .jpg, .png, .heic or .pdf, not {suffix}")
    return path


def truths() -> dict[str, dict[str, Any]]:
    """Return the truth of every sample by file name, as JSON values."""
    drawn = (make() for make in SAMPLES)
    return {sample.file: sample.receipt.model_dump(mode="json") for sample in drawn}


def write_truth(truth: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the truth as an indented JSON file."""
    path.write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(folder: Path = FILES) -> None:
    """Draw every sample into the folder, with the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in SAMPLES:
        path = save(make(), folder)
        sys.stdout.write(f"{path}  {path.stat().st_size:,} bytes\n")
    write_truth(truths(), folder / TRUTH_FILE)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
