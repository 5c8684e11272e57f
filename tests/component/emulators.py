"""The AWS emulators of the component tests, each started on first use."""

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from worker.aws.clients import Clients
from worker.aws.resources import ResourceSpecs
from worker.commands.support import local_stack
from worker.settings import Settings
from worker.workbench.local import emulator as ministack
from worker.workbench.local import environment
from worker.workbench.local.provision import Provisioned


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running AWS emulator."""

    name: str
    url: str
    account: str


@dataclass(frozen=True, kw_only=True)
class Aws:
    """The environment of a worker: resources with unique names, created for one test."""

    emulator: Emulator
    specs: ResourceSpecs
    resources: Provisioned
    settings: Settings
    clients: Clients

    @property
    def url(self) -> str:
        """Address of the emulator."""
        return self.emulator.url


class Emulators:
    """The emulators, each started on first use. They end with the test session."""

    def __init__(self, stack: ExitStack, scratch: Path) -> None:
        self._stack = stack
        self._scratch = scratch
        self._running: dict[str, Emulator] = {}

    def get(self, name: str) -> Emulator:
        if name not in self._running:
            self._running[name] = self._ministack() if name == "ministack" else self._moto()
        return self._running[name]

    def _ministack(self) -> Emulator:
        base = local_stack.isolated(os.environ)
        with ministack.listen(0) as listener:
            url, port = ministack.url(listener), listener.getsockname()[1]
            self._spawn(
                *("-m", ministack.__name__, str(listener.fileno())),
                environment=ministack.environment(base, port=port, scratch=self._scratch, data=None),
                pass_fds=(listener.fileno(),),
            )
        _wait_for(f"{url}/_ministack/health")
        return Emulator(name="ministack", url=url, account=environment.ACCOUNT)

    def _moto(self) -> Emulator:
        with ministack.listen(0) as listener:
            port = listener.getsockname()[1]
        self._spawn("-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), environment=dict(os.environ))
        _wait_for(f"http://127.0.0.1:{port}/moto-api/")
        return Emulator(name="moto", url=f"http://127.0.0.1:{port}", account="123456789012")

    def _spawn(self, *arguments: str, environment: dict[str, str], pass_fds: tuple[int, ...] = ()) -> None:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**environment, "COVERAGE_PROCESS_START": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=pass_fds,
        )
        self._stack.callback(process.wait, timeout=20)
        self._stack.callback(process.terminate)


def _wait_for(url: str) -> None:
    """Wait up to a minute until `url` answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=60).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
