"""The health check of a container: asks the worker in the same container.

It runs every few seconds on the worker's share of a CPU, so it imports almost nothing.
"""

import http.client
import os
import sys
from typing import Final

PORT: Final = "RECEIPTS_HTTP_PORT"
DEFAULT_PORT: Final = "8000"
TIMEOUT_S: Final = 4.0
"""Seconds; less than the five after which ECS and Docker give up, so that the message is still printed."""


def check(port: str, *, timeout_s: float = TIMEOUT_S) -> tuple[bool, str]:
    """Ask the worker at `port` of this machine; return whether it is healthy, and its report or the error."""
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        return False, f"{PORT} must be the port of the worker, not {port!r}"
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        return response.status == 200, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return False, f"No worker answers at port {port}: {error}"
    finally:
        connection.close()


def main() -> int:
    """Print the report; return 0 if the worker is healthy, else 1."""
    healthy, report = check(os.environ.get(PORT) or DEFAULT_PORT)
    print(report, file=sys.stdout if healthy else sys.stderr)  # Docker keeps it in the state of the container
    return 0 if healthy else 1


if __name__ == "__main__":
    raise SystemExit(main())
