"""The instructions that `receipts local` prints: how to send more receipts, and how to use the stack from elsewhere."""

import os
import shutil
import sys
from pathlib import Path

from worker.commands.support.local_stack import CHOICE, running
from worker.workbench.local.environment import aws_command
from worker.workbench.local.samples import sample_files
from worker.workbench.local.stack import Stack


def instructions(stack: Stack, inbox: Path | None) -> list[str]:
    """Return instructions for `stack`, line by line; `inbox` is the watched directory, if any."""
    sample = _short(sample_files()[0])
    into = f"s3://{stack.resources.bucket}/"
    command = f"{_command()} --local"
    if len(running()) > 1:
        command = f"{CHOICE}={stack.http_port} {command}"
    return [
        "",
        "Running until Ctrl-C. Send more receipts in any of these ways:",
        *([f"  cp {sample} {_short(inbox)}/"] if inbox else []),
        f"  {command} submit {sample}",
        f"  {aws_command(stack.environment, 's3', 'cp', str(sample), into)}",
        f"In another terminal, `{command} …` uses this stack. So does any program with these variables:",
        f"  {export_line(stack)}",
        f"Console, in a browser: http://127.0.0.1:{stack.http_port}/",
        "",
    ]


def _command() -> str:
    """Return this command's name if the shell finds it, else its path."""
    return "receipts" if shutil.which("receipts") else str(_short(Path(sys.executable).parent / "receipts"))


def export_line(stack: "Stack") -> str:
    """Return a shell line after which any program uses `stack`."""
    names = [
        # boto3 reads the region only from AWS_DEFAULT_REGION.
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"),
        *(name for name in stack.environment if name.startswith("RECEIPTS_")),
    ]
    return "export " + " ".join(f"{name}={stack.environment[name]}" for name in names)


def _short(path: Path) -> Path:
    """Return `path`, absolute or relative to the current directory, whichever is shorter."""
    relative = Path(os.path.relpath(path))
    return relative if len(str(relative)) < len(str(path)) else path
