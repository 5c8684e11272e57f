"""Terraform without AWS: the real binary with the provider's real schema, run by a tool outside the project."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
INFRA = PROJECT / "infra"
TOOL = PROJECT.parent / "shared" / "tf-offline"
LIBRARIES = ("boto3==1.41.2",)
"""Requirements of replaying besides the tool's own. Unlike the worker's client, this version knows Express Mode. It
still speaks CloudWatch's query protocol, the only one that moto supports."""

ACCOUNT = "123456789012"
IMAGES = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
BASIC: dict[str, Any] = {
    "region": "eu-central-1",
    "image": f"{IMAGES}/receipts-worker:1.0.0",
    "model": {"image": f"{IMAGES}/receipts-reader:1.0.0"},
}
CONSOLE = {
    "certificate_arn": f"arn:aws:acm:eu-central-1:{ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012",
    "allowed_cidrs": ["203.0.113.0/24"],
}


@dataclass(frozen=True)
class State:
    """Terraform's state as JSON, after a simulated apply."""

    document: dict[str, Any]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the attributes of all resources of type `kind`, by address."""
        return {found["address"]: found["values"] for found in _all(self.document["values"]["root_module"], kind)}

    def one(self, address: str) -> dict[str, Any]:
        """Return the attributes of the resource at `address`."""
        (kind,) = re.findall(r"\baws_\w+", address)
        return self.resources(kind)[address]

    @property
    def arns(self) -> set[str]:
        """Return the ARNs of all resources."""
        return {
            found["values"]["arn"] for found in _all(self.document["values"]["root_module"]) if "arn" in found["values"]
        }

    def output(self, name: str) -> Any:
        """Return the value of an output."""
        return self.document["values"]["outputs"][name]["value"]


def _all(module: dict[str, Any], kind: str | None = None) -> Iterator[dict[str, Any]]:
    for found in module.get("resources", []):
        if found["mode"] == "managed" and kind in (None, found["type"]):
            yield found
    for child in module.get("child_modules", []):
        yield from _all(child, kind)


@dataclass(frozen=True)
class Offline:
    """The offline tool: runs Terraform commands on a copy of infra/, without AWS."""

    home: Path

    @property
    def python(self) -> Path:
        """Return the Python of the tool's virtual environment."""
        return self.home / "venv/bin/python"

    def run(self, command: str, root: str, *arguments: str, of: Path = INFRA) -> subprocess.CompletedProcess[str]:
        """Run `command` on `of`/`root` and return the finished process."""
        line = [
            str(self.python),
            str(TOOL / "tf-offline"),
            "--root",
            str(of),
            command,
            str(of / root),
            *arguments,
        ]
        # Its own cache: another Python would rewrite a shared one while Terraform reads it.
        variables = {**os.environ, "TF_OFFLINE_CACHE": str(self.home / "cache")}
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=240, env=variables)

    def apply(self, root: str, variables: dict[str, Any], *, of: Path = INFRA) -> State:
        """Simulate an apply of `of`/`root` and return the state."""
        with tempfile.NamedTemporaryFile("w", suffix=".tfvars.json") as file:
            json.dump(variables, file)
            file.flush()
            done = self.run("apply", root, "-no-color", f"-var-file={file.name}", of=of)
        assert done.returncode == 0, done.stderr
        return State(json.loads(done.stdout))

    def replay(self, state: State, *, endpoint: str | None = None, skip: str = "") -> str:
        """Make the AWS calls that create `state`. Without `endpoint`, only validate their parameters."""
        line = [str(self.python), str(TOOL / "replay.py"), "-", "--skip", skip, "--allow-lacking"]
        done = subprocess.run(
            [*line, "--endpoint", endpoint] if endpoint else line,
            input=json.dumps(state.document),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
