"""The health check of a container: asks the worker beside it how it is.

It runs every few seconds on the worker's own share of a CPU, so it imports next to nothing.
"""

import http.client
import os
import sys
from typing import Final

PORT: Final = "RECEIPTS_HTTP_PORT"
DEFAULT_PORT: Final = "8000"
TIMEOUT_S: Final = 4.0
"""Less than the five seconds after which ECS and Docker give up, so that the sentence still comes."""


def check(port: str, *, timeout_s: float = TIMEOUT_S) -> tuple[bool, str]:
    """Ask the worker at `port` of this machine; return whether it is well, and what it or the attempt said."""
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        return False, f"{PORT} must name the worker's port, got {port!r}"
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
    """Print what the worker says; return 0 if it is well, else 1."""
    well, said = check(os.environ.get(PORT) or DEFAULT_PORT)
    print(said, file=sys.stdout if well else sys.stderr)  # Docker keeps it with the container's state
    return 0 if well else 1


if __name__ == "__main__":
    raise SystemExit(main())
