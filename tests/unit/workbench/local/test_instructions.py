"""The instructions of `receipts local`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from worker.commands.support import local_stack
from worker.workbench.local import environment
from worker.workbench.local.instructions import instructions


@pytest.mark.parametrize("others", [0, 1])
def test_the_commands_select_their_stack(others: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another stack runs, the printed commands select this one; the region is set for every program."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    variables = environment.aws(emulator_url="http://127.0.0.1:1", runtime_url="http://127.0.0.1:2")
    for port in range(8_001, 8_002 + others):
        directory = tmp_path / f"{local_stack.PREFIX}{port}"
        directory.mkdir(mode=0o700)
        local_stack.publish(directory, variables, started_at=port, http_port=port)
    stack: Any = SimpleNamespace(environment=variables, http_port=8_001, resources=SimpleNamespace(bucket="receipts"))
    printed = "\n".join(instructions(stack, None))
    assert printed.count("RECEIPTS_LOCAL=8001 ") == 2 * others
    assert "--local submit" in printed
    assert f"AWS_REGION={environment.REGION} AWS_DEFAULT_REGION={environment.REGION} " in printed
