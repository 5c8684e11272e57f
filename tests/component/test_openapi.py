"""The OpenAPI document is correct: requests that it allows work, and every answer matches its schema."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.component.emulators import Aws
from tests.component.records import put, record
from tests.component.test_api import serving
from worker.console import openapi
from worker.console.schemas import id_of

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
)
LONGEST = 8_000
"""The HTTP server refuses a longer request line before the API sees it."""
OPERATIONS = [
    (path, method) for path, item in openapi.document()["paths"].items() for method in item if method != "parameters"
]


@pytest.mark.not_on("moto", "counts")
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS])
async def test_requests_are_answered_as_documented(aws: Aws, path: str, method: str, mode: GenerationMode) -> None:
    """Generated requests, valid and invalid, are answered as documented."""
    await put(aws, [record(1), record(2, status="needs_review"), record(3, status="failed")])
    async with serving(aws) as client:
        url = str(client.make_url("/v1"))
        await asyncio.to_thread(_try, url, path, method, mode)


def _try(url: str, path: str, method: str, mode: GenerationMode) -> None:
    document = openapi.document() | {"servers": [{"url": url}]}
    schema = schemathesis.openapi.from_dict(document)
    operation = schema[path][method.upper()]

    @settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        assume(len(str(case.as_transport_kwargs(base_url=url))) < LONGEST)
        if "id" in case.path_parameters and mode is GenerationMode.POSITIVE:
            case.path_parameters["id"] = id_of(record(1).document)
        case.call_and_validate(base_url=url, checks=CHECKS)

    check()
