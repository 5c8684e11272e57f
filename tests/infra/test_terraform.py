"""Both roots as Terraform sees them: format, schema, their own tests, and the examples."""

import shutil
import subprocess

import pytest

from tests.infra.offline import INFRA, Offline

EXAMPLES = sorted(path.relative_to(INFRA / "examples") for path in (INFRA / "examples").glob("*/*.tfvars"))


def test_the_format_is_terraform_fmt() -> None:
    """Expect nothing to format."""
    terraform = shutil.which("terraform") or pytest.skip("terraform is not installed")
    line = [terraform, "fmt", "-check", "-recursive", "-diff", str(INFRA)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("root", ["express", "custom"])
def test_its_own_tests_pass(offline: Offline, root: str) -> None:
    """Expect `terraform test` with mocked AWS to pass in each root."""
    done = offline.run("test", root, "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_plans(offline: Offline, example: object) -> None:
    """Expect each example file to be a plan without an error or a warning."""
    path = INFRA / "examples" / str(example)
    done = offline.run("plan", path.parent.name, "-no-color", f"-var-file={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout, done.stdout
