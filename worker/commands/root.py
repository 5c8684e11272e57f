"""The `receipts` command: finds the verb, loads its module, and turns errors into one line and an exit code.

A verb is a module with either `command` (a function with typer's annotations) or `app` (a Typer with subcommands).
Exit codes: 0 done, 1 not done, 2 misuse or settings that cannot work.
"""

import importlib
import importlib.util
import io
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from worker.commands.support import error_messages
from worker.errors import ReceiptsError, SettingsError

DEPLOYED = "worker.commands"
DEVELOPMENT = "worker.workbench.commands"
VERBS: Final = {
    "local": DEVELOPMENT,
    "submit": DEPLOYED,
    "list": DEPLOYED,
    "show": DEPLOYED,
    "stats": DEPLOYED,
    "export": DEPLOYED,
    "replay": DEPLOYED,
    "diff": DEPLOYED,
    "console": DEPLOYED,
    "worker": DEPLOYED,
    "health": DEPLOYED,
    "doctor": DEPLOYED,
    "forget": DEPLOYED,
    "settings": DEPLOYED,
    "scale": DEVELOPMENT,
    "evaluate": DEVELOPMENT,
}
"""The package of each verb, in the order of the help. The help omits verbs that are not installed, as in an image."""


class Verbs(TyperGroup):
    """A group whose commands are imported by name, on first use."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 # the base class's signature
        """Return the installed verbs, in the order of the help."""
        return [verb for verb in VERBS if _installed(verb)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the verb's command, or None if the verb does not exist."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return load(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb. Click suggests a verb from `self.commands` for a misspelt one."""
        self.commands = dict.fromkeys(self.list_commands(ctx))  # type: ignore[assignment] # only its names are read
        return super().resolve_command(ctx, args)


def _module(verb: str) -> str:
    return f"{VERBS[verb]}.{verb}"


def _installed(verb: str) -> bool:
    try:
        return importlib.util.find_spec(_module(verb)) is not None
    except ModuleNotFoundError:  # the package of the verb is missing
        return False


def load(verb: str) -> Any:
    """Import `verb` and return its command."""
    module = importlib.import_module(_module(verb))
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(verb)(module.command)
    command = typer.main.get_command(app)
    command.name = verb
    return command


app = typer.Typer(
    cls=Verbs, no_args_is_help=True, add_completion=True, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.callback()
def receipts(
    *,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Use the `receipts local` that runs on this machine instead of AWS. If several run, "
            "RECEIPTS_LOCAL selects one by the port of its console.",
        ),
    ] = False,
) -> None:
    """Receipts dropped into an S3 bucket become rows in a DynamoDB table.

    Start with: receipts local

    Exit codes: 0 done; 1 not done, or only in part; 2 misuse: change an option, a setting, a port or a directory first.
    """
    if local:
        from worker.commands.support.local_stack import join

        join()


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal can print any merchant's name
    try:
        typer.main.get_command(app)(prog_name="receipts")
    except SettingsError as error:
        _fail(str(error), code=2)
    except ReceiptsError as error:
        _fail(str(error), code=1)
    except Exception as error:
        found = error_messages.explain(error)
        if found is None:
            raise
        _fail(found.sentence, code=2 if found.setting else 1)


def _fail(sentence: str, *, code: int) -> None:
    sys.stderr.write(f"receipts: {sentence}\n")
    raise SystemExit(code)
