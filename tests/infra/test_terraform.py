"""Both roots in Terraform: format, schema, their own tests, and the examples."""

import shutil
import subprocess

import pytest

from tests.infra.offline import BASIC, INFRA, Offline, State

EXAMPLES = sorted(path.relative_to(INFRA / "examples") for path in (INFRA / "examples").glob("*/*.tfvars"))
EXAMPLE_ROOTS = sorted(path.parent.name for path in (INFRA / "examples").glob("*/main.tf"))


def test_the_format_is_terraform_fmt() -> None:
    """`terraform fmt` has nothing to change."""
    terraform = shutil.which("terraform") or pytest.skip("terraform is not installed")
    line = [terraform, "fmt", "-check", "-recursive", "-diff", str(INFRA)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("root", ["express", "custom"])
def test_its_own_tests_pass(offline: Offline, root: str) -> None:
    """`terraform test` with a mocked AWS passes in each root."""
    done = offline.run("test", root, "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_plans(offline: Offline, example: object) -> None:
    """Each example can be planned without errors or warnings."""
    path = INFRA / "examples" / str(example)
    done = offline.run("plan", path.parent.name, "-no-color", f"-var-file={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout, done.stdout


@pytest.mark.parametrize("example", EXAMPLE_ROOTS)
def test_an_example_root_runs_as_it_is(offline: Offline, example: str) -> None:
    """Expect a plan of each example root without variables, error or warning."""
    done = offline.run("plan", f"examples/{example}", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout, done.stdout
    assert f"({example}/main.tf)" in (INFRA / "examples/README.md").read_text()


def test_two_stacks_of_one_account_share_nothing(offline: Offline, custom: State) -> None:
    """Stacks with different names share no resource, whichever their roots."""
    others = [offline.apply(root, BASIC | {"name": "receipts-two"}) for root in ("express", "custom")]
    for other in others:
        assert not custom.arns & other.arns


@pytest.mark.parametrize("root", ["express", "custom"])
def test_the_next_commands_can_be_typed_as_printed(root: str, request: pytest.FixtureRequest) -> None:
    """The output `next` has complete commands of known tools, with the settings of a task."""
    state: State = request.getfixturevalue(root)
    lines = state.output("next").splitlines()
    assert {line.split()[0] for line in lines} == {"#", "aws", "export", "receipts"}
    assert not any("null" in line or "…" in line for line in lines)
    exported = dict(pair.split("=", 1) for line in lines if line.startswith("export ") for pair in line.split()[1:])
    told = state.output("environment")
    assert exported.pop("AWS_REGION") == state.output("region")
    assert exported == {name: told[name] for name in exported}
