"""Scans and photographs of a strip of paper."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from worker.workbench.local.samples.paper import Colour, clouds

Point: TypeAlias = tuple[float, float]

MESH_PX = 25
"""Size of the squares in which the picture is distorted."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A flat-bed scan."""

    turn_deg: float = 0.0
    """Rotation of the paper, counter-clockwise."""
    border_px: int = 24
    lid: Colour = (228, 229, 230)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph from above a table; points are fractions of the picture's width and height."""

    size: tuple[int, int]
    corners: tuple[Point, Point, Point, Point]
    """Positions of the paper's corners: top left, top right, bottom right, bottom left."""
    table: Colour
    wave: float = 0.006
    """Sideways displacement of a line by the paper's curl, in widths of the paper."""
    shadow: float = 0.28
    """Darkening in the shadow of hand and phone, 0 to 1."""
    blur_px: float = 0.7


def scanned(paper: Image.Image, scan: Scan) -> Image.Image:
    """Return a scan of the paper."""
    width, height = paper.size
    glass = Image.new("RGB", (width + 2 * scan.border_px, height + 2 * scan.border_px), scan.lid)
    edge = Image.new("L", glass.size, 0)
    ImageDraw.Draw(edge).rectangle(
        (scan.border_px, scan.border_px, width + scan.border_px + 3, height + scan.border_px + 4), fill=70
    )
    glass.paste((70, 70, 74), mask=edge.filter(ImageFilter.GaussianBlur(3)))
    glass.paste(paper, (scan.border_px, scan.border_px))
    return glass.rotate(scan.turn_deg, Image.Resampling.BICUBIC, fillcolor=scan.lid)


def photographed(paper: Image.Image, photo: Photo, rng: np.random.Generator) -> Image.Image:
    """Return a photo of the paper on a table, with perspective, curl, shadow, uneven light, blur and noise."""
    width, height = photo.size
    corners = [(x * width, y * height) for x, y in photo.corners]
    mesh = _mesh(photo, corners, paper.size)
    bicubic = Image.Resampling.BICUBIC
    seen = paper.transform(photo.size, Image.Transform.MESH, mesh, bicubic)
    mask = Image.new("L", paper.size, 255).transform(photo.size, Image.Transform.MESH, mesh, bicubic)

    scene = _table(photo, rng)
    dropped = mask.filter(ImageFilter.GaussianBlur(width / 70)).point([level * 6 // 10 for level in range(256)])
    scene.paste((18, 14, 12), (round(width / 90), round(width / 60)), dropped)
    scene.paste(seen, mask=mask.filter(ImageFilter.GaussianBlur(0.8)))

    light = _light(photo, rng)[:, :, None]
    warm = np.array([1.0, 0.985, 0.95])
    soft = np.asarray(scene.filter(ImageFilter.GaussianBlur(photo.blur_px)), np.float64)
    noise = rng.normal(0, 1.8, (height, width, 1))
    return Image.fromarray(np.clip(soft * light * warm + noise, 0, 255).astype(np.uint8))


def _mesh(
    photo: Photo, corners: list[Point], paper: tuple[int, int]
) -> list[tuple[tuple[int, int, int, int], tuple[float, ...]]]:
    """Return the four points of the paper seen in each square of the photo (Pillow's MESH)."""
    width, height = photo.size
    xs = np.append(np.arange(0, width, MESH_PX), width)
    ys = np.append(np.arange(0, height, MESH_PX), height)
    grid = np.stack([*np.meshgrid(xs, ys), np.ones((len(ys), len(xs)))], axis=-1)
    seen = grid @ _homography(corners, paper).T
    source = seen[:, :, :2] / seen[:, :, 2:]
    source[:, :, 0] += photo.wave * paper[0] * np.sin(source[:, :, 1] / paper[1] * 7.5)
    return [
        (
            (int(xs[i]), int(ys[j]), int(xs[i + 1]), int(ys[j + 1])),
            tuple(float(v) for p in ((j, i), (j + 1, i), (j + 1, i + 1), (j, i + 1)) for v in source[p]),
        )
        for j in range(len(ys) - 1)
        for i in range(len(xs) - 1)
    ]


def _homography(corners: list[Point], paper: tuple[int, int]) -> NDArray[np.float64]:
    """Return the projection from the paper's corners in the photo to those of the flat paper, shape 3 x 3."""
    width, height = paper
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (width, 0), (width, height), (0, height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows, np.float64), np.array(values, np.float64)), 1).reshape(3, 3)


def _table(photo: Photo, rng: np.random.Generator) -> Image.Image:
    """Return a table top with wood grain in the photo's colour."""
    width, height = photo.size
    grain = clouds(rng, height, width, cell_px=9).T * 0.35 + clouds(rng, width, height, cell_px=160) * 0.65
    fibres = np.repeat(rng.normal(0, 0.035, (height // 3 + 1, 1)), 3, axis=0)[:height]
    tone = (0.72 + 0.45 * grain + fibres)[:, :, None]
    return Image.fromarray(np.clip(np.array(photo.table, np.float64) * tone, 0, 255).astype(np.uint8))


def _light(photo: Photo, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the light on each pixel, shape height x width: darker corners, a soft shadow, the waves of the paper."""
    width, height = photo.size
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / width, y / height
    fall = 1.04 - 0.30 * ((u - 0.4) ** 2 + (v - 0.35) ** 2)
    edge = u * 0.9 + v * 0.55 + 0.03 * np.sin(v * 9) - 0.95
    hand = 1 - photo.shadow / (1 + np.exp(-np.clip(edge * 16, -40, 40)))
    curl = 1 + 0.02 * np.sin(v * 7.5 + 1.1)
    return np.asarray(fall * hand * curl * (0.985 + 0.03 * clouds(rng, width, height, cell_px=300)))
