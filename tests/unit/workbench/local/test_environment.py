"""The embedded stack's environment directs all AWS calls to the stack."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from worker.commands.support import local_stack
from worker.errors import ReceiptsError, SettingsError
from worker.workbench.local import environment

AWS = environment.aws(emulator_url="http://127.0.0.1:1", runtime_url="http://127.0.0.1:2")


def test_the_users_aws_configuration_is_removed() -> None:
    """Profiles, keys, roles, endpoints and ECS variables are removed; the rest stays."""
    own = {"AWS_PROFILE": "work", "AWS_CONFIG_FILE": "/home/me/.aws/config", "ECS_AGENT_URI": "http://x", "HOME": "/me"}
    assert local_stack.isolated(own) == {"HOME": "/me"}


def test_every_address_is_on_loopback() -> None:
    """Every endpoint is on loopback, and no file of the user is read."""
    for name, value in AWS.items():
        if "ENDPOINT_URL" in name:
            assert value.startswith("http://127.0.0.1:")
    assert AWS["AWS_CONFIG_FILE"] == AWS["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_the_printed_line_is_one_command_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file name with blanks and quotes stays one argument; the dummy credentials precede the command."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    line = environment.aws_command(AWS, "s3", "cp", "it's a receipt.jpg", "s3://receipts/")
    words = shlex.split(line)
    assert words[:6] == [
        "AWS_ACCESS_KEY_ID=local",
        "AWS_SECRET_ACCESS_KEY=local",
        "aws",
        "s3",
        "cp",
        "it's a receipt.jpg",
    ]
    assert words[-2:] == ["--endpoint-url", "http://127.0.0.1:1"]


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Path]:
    with patch.dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path)):  # also undoes the changes of `join`
        yield tmp_path


def publish(runtime: Path, name: str, *, http_port: int = 8_000) -> Path:
    """Publish a stack of this process."""
    directory = runtime / f"{local_stack.PREFIX}{name}"
    directory.mkdir(mode=0o700)
    local_stack.publish(directory, {**AWS, "RECEIPTS_BUCKET": name}, started_at=http_port, http_port=http_port)
    return directory


def test_the_running_stack_is_joined(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining replaces the user's environment with the stack's."""
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("RECEIPTS_TABLE", "mine")
    publish(runtime, "mine")
    local_stack.join()
    assert os.environ["RECEIPTS_BUCKET"] == "mine"
    assert os.environ["AWS_ENDPOINT_URL"] == AWS["AWS_ENDPOINT_URL"]
    assert not {"AWS_PROFILE", "RECEIPTS_TABLE"} & set(os.environ)


def test_a_choice_among_several_stacks_is_required(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If several stacks run, the error lists their selectors, and a selected stack is joined."""
    publish(runtime, "old", http_port=8_001)
    publish(runtime, "new", http_port=8_002)
    with pytest.raises(
        SettingsError, match=r"RECEIPTS_LOCAL=8002 .*RECEIPTS_LOCAL=8001 \(started .*, process \d+, http"
    ):
        local_stack.join()
    assert "RECEIPTS_BUCKET" not in os.environ
    monkeypatch.setenv("RECEIPTS_LOCAL", "8001")
    local_stack.join()
    assert os.environ["RECEIPTS_BUCKET"] == "old"


def test_a_selected_stack_that_is_missing_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only running stack is not used if another one is selected."""
    publish(runtime, "mine", http_port=8_001)
    monkeypatch.setenv("RECEIPTS_LOCAL", "8002")
    with pytest.raises(SettingsError, match=r"Running: RECEIPTS_LOCAL=8001"):
        local_stack.join()


def test_a_missing_runtime_directory_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If XDG_RUNTIME_DIR of an ended session is missing, the directory for temporary files is used."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert local_stack.runtime_directory() == Path(tempfile.gettempdir())


def test_an_ended_stack_is_not_joined(runtime: Path) -> None:
    """Files of ended processes and invalid files are ignored; if no stack is left, the error says so."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    file = publish(runtime, "dead") / local_stack.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "process_id": ended.pid}))
    (publish(runtime, "broken") / local_stack.FILE).write_text("{")
    with pytest.raises(ReceiptsError, match="Start it"):
        local_stack.join()


def test_a_file_that_others_can_write_is_not_trusted(runtime: Path) -> None:
    """A directory that everyone may write to is ignored, because its file could redirect receipts."""
    publish(runtime, "open").chmod(0o777)
    assert local_stack.running() == []
