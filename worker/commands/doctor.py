"""`receipts doctor`: check that everything a worker needs exists and may be used."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.commands.support.checkup.finding import Finding

MARKS = {"ok": ("ok", "green"), "failed": ("FAILED", "bold red"), "skipped": ("skipped", "dim")}


def command(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check credentials, region, bucket, notification, queue, redrive policy, table, endpoint and permissions.

    Each check prints one line, and a failed one its cure; the exit code is then 1. Nothing is changed and no model is
    invoked. The checks use your credentials, and in a task the task's.
    """
    findings = asyncio.run(_examine(quiet=as_json))
    if as_json:
        typer.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    raise typer.Exit(int(any(finding.status == "failed" for finding in findings)))


async def _examine(*, quiet: bool) -> "list[Finding]":
    from worker.aws.clients import clients, config, session
    from worker.aws.resources import ResourceSpecs
    from worker.commands.support.checkup import examine
    from worker.commands.support.checkup.finding import Finding, Installation
    from worker.settings import load

    settings = load(receive_wait_s=1)
    aws_session = session()
    if aws_session.region_name is None:  # no client can be created without a region
        findings = [Finding(check="region", status="failed", detail="no region is set", cure="Set AWS_REGION.")]
        if not quiet:
            _print(findings[0])
        return findings
    options = config(timeout_s=settings.call_timeout_s, connections=2)
    findings = []
    async with clients(settings) as opened, aws_session.client("sts", config=options) as sts:
        installation = Installation(
            settings=settings, clients=opened, sts=sts, region=aws_session.region_name, specs=ResourceSpecs()
        )
        async for finding in examine(installation):
            findings.append(finding)
            if not quiet:
                _print(finding)
    return findings


def _print(finding: "Finding") -> None:
    from rich.text import Text

    from worker.commands.support.terminal import console, safe

    mark, style = MARKS[finding.status]
    line = Text.assemble((f"{mark:<8}", style), (f"{finding.check:<20}", "bold"), safe(finding.detail))
    out = console()
    out.print(line, soft_wrap=True)
    if finding.cure:
        out.print(Text.assemble(" " * 8, ("cure: ", "yellow"), safe(finding.cure)), soft_wrap=True)
