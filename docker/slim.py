"""Takes out of an image's site-packages what its process never uses: `python slim.py worker|model`, with its Python.

Of botocore's 400 service models a dozen are used; a build tool, test suites and sources in C belong to no image.
"""

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

AWS_SERVICES: Final = frozenset(
    {
        *("s3", "sqs", "dynamodb", "sagemaker-runtime", "secretsmanager"),  # the worker's and the console's
        *("sts", "sso", "sso-oidc", "signin"),  # what credentials are got with
        *("sagemaker", "ecs", "cloudwatch", "application-autoscaling", "sns", "events"),  # what a person's verbs ask
    }
)
EVERYWHERE: Final = (
    *("setuptools", "setuptools-*.dist-info", "pkg_resources", "_distutils_hack", "distutils-precedence.pth"),
    *("*/tests", "*/*/tests", "botocore/data/*/*/examples-1.json"),
    *("**/*.c", "**/*.h", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.pyi"),
)
ONLY: Final = {
    "worker": ("worker/model", "worker/local/samples", "worker/commands/local.py"),
    "model": (
        *("worker/local", "worker/commands", "worker/app.py", "worker/pipeline.py", "worker/extraction"),
        *("worker/messages", "worker/resilience", "worker/results", "worker/scaling", "worker/service"),
        # The reader speaks to nobody, and of rapidocr it uses the networks alone.
        *("aioboto3", "aiobotocore", "boto3", "botocore", "s3transfer", "uvloop", "pypdfium2*", "pillow_heif*"),
        *("shapely*", "pyclipper*", "omegaconf*", "requests*"),
    ),
}
"""What only another image uses."""


def unused(site: Path, image: str) -> Iterator[Path]:
    """Yield what `image` does not need of `site`."""
    data = site / "botocore" / "data"
    if data.is_dir():
        yield from (path for path in data.iterdir() if path.is_dir() and path.name not in AWS_SERVICES)
    for pattern in (*EVERYWHERE, *ONLY[image]):
        yield from site.glob(pattern)


def remove(paths: list[Path]) -> int:
    """Remove files and directories; return how many bytes that were."""
    freed = 0
    for path in paths:
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
        elif path.exists():
            freed += path.stat().st_size
            path.unlink()
    return freed


def main() -> None:
    """Slim the site-packages of the Python that runs this."""
    image = sys.argv[1]
    site = Path(sysconfig.get_path("purelib"))
    print(f"{remove(list(unused(site, image))) / 1e6:.0f} MB removed from {site}")  # noqa: T201 # said in the build's log


if __name__ == "__main__":
    main()
