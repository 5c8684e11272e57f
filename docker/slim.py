"""Reduce an image's site-packages to what its process uses: run `python slim.py worker|reader` with the image's Python.

The project's own code is kept by an allow-list (`CODE`), which `tests/unit/test_layout.py` compares with the imports.
botocore keeps the service models that the code uses. Build tools, test suites and C sources are removed everywhere.
"""

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CODE: Final = {
    "worker": (
        *("__init__.py", "__main__.py", "errors.py", "settings.py", "startup.py", "telemetry.py"),
        *("aws", "commands", "console", "extraction", "messages"),
        *("receipts", "replay", "resilience", "results", "runtime"),
    ),
    "reader": (
        *("__init__.py", "startup.py", "reader"),
        *("receipts/__init__.py", "receipts/currency.py", "receipts/receipt.py"),
    ),
}
"""The files and folders of the package `worker` that each image keeps."""
AWS_SERVICES: Final = frozenset(
    {
        *("s3", "sqs", "dynamodb", "sagemaker-runtime", "secretsmanager"),  # the worker and the console
        *("sts", "sso", "sso-oidc", "signin"),  # how credentials are obtained
        *("sagemaker", "ecs", "cloudwatch", "application-autoscaling", "sns", "events"),  # verbs for people
    }
)
REMOVED: Final = (
    *("setuptools", "setuptools-*.dist-info", "pkg_resources", "_distutils_hack", "distutils-precedence.pth"),
    *("*/tests", "*/*/tests", "botocore/data/*/*/examples-1.json"),
    *("**/*.c", "**/*.h", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.pyi"),
    # The reader takes only the networks from rapidocr, so these dependencies of rapidocr are never imported.
    *("shapely*", "pyclipper*", "omegaconf*", "requests*"),
)


def unused(site: Path, image: str) -> Iterator[Path]:
    """Yield the files and folders below `site` that `image` does not need."""
    data = site / "botocore" / "data"
    if data.is_dir():
        yield from (path for path in data.iterdir() if path.is_dir() and path.name not in AWS_SERVICES)
    package = site / "worker"
    kept = [package / name for name in CODE[image]]
    for path in package.rglob("*"):
        if path.is_file() and not any(path == one or one in path.parents for one in kept):
            yield path
    for pattern in REMOVED:
        yield from site.glob(pattern)


def remove(paths: list[Path]) -> int:
    """Remove files and directories; return the number of bytes freed."""
    freed = 0
    for path in paths:
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
        elif path.exists():
            freed += path.stat().st_size
            path.unlink()
    return freed


def remove_empty_folders(package: Path) -> None:
    """Remove the folders of `package` that hold no file, so that they cannot be imported as namespaces."""
    for folder in sorted((path for path in package.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def main() -> None:
    """Slim the site-packages of the Python that runs this script."""
    image = sys.argv[1]
    site = Path(sysconfig.get_path("purelib"))
    freed = remove(list(unused(site, image)))
    remove_empty_folders(site / "worker")
    sys.stdout.write(f"{freed / 1e6:.0f} MB removed from {site}\n")


if __name__ == "__main__":
    main()
