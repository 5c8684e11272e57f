"""The OpenAPI document of the API, generated from the models that the handlers use."""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from worker.console import schemas

REF: Final = "#/components/schemas/{model}"
_ANSWERS: Final = (
    schemas.Taken,
    schemas.ReceiptList,
    schemas.WholeReceipt,
    schemas.Link,
    schemas.Replay,
    schemas.Queue,
    schemas.ProblemDetails,
)
_BODIES: Final = (schemas.Correcting, schemas.Approving, schemas.Replaying)
_SENTENCES: Final = {
    400: "A parameter or the body is not valid; `detail` names it.",
    401: "The bearer token is missing or wrong.",
    403: "Without a token, the API serves only this machine's own pages.",
    404: "The resource does not exist.",
    409: "The request conflicts with the current state; `detail` says why.",
    413: "The body is too large.",
    415: "The media type of the body is not supported.",
    422: "The body has a value that is not allowed; `detail` names the field.",
    503: "A call to AWS failed; try again.",
}


def document(*, secured: bool = True) -> dict[str, Any]:
    """Return the OpenAPI document. `secured` says whether requests need a token."""
    _, made = models_json_schema(
        [*((model, "serialization") for model in _ANSWERS), *((model, "validation") for model in _BODIES)],
        ref_template=REF,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Receipts",
            "version": "1",
            "description": "Upload receipts and read their records. Texts that come from a receipt are untrusted data.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v1"}],
        "security": [{"token": []}] if secured else [],
        "paths": _paths(),
        "components": {
            "schemas": made["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    receipt_id = _in_path("id", "Id of a record.", r"^[A-Za-z0-9_-]{2,3000}$")
    replay_id = _in_path("replay_id", "Name of a replay.", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    free: dict[str, Any] = {"type": "object"}
    return {
        "/receipts": {
            "post": _operation(
                *("upload", "Upload a receipt", schemas.Taken, 202),
                asked=schemas.Uploading,
                problems=(413,),
                request_body={
                    "required": True,
                    "content": {
                        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}
                    },
                },
            ),
            "get": _operation("list", "List records, newest first", schemas.ReceiptList, 200, asked=schemas.Listing),
        },
        "/receipts/{id}": {
            "parameters": [receipt_id],
            "get": _operation("get", "One record", schemas.WholeReceipt, 200, problems=(404,)),
        },
        "/receipts/{id}/image": {"parameters": [receipt_id], "get": _image()},
        "/receipts/{id}/preview": {"parameters": [receipt_id], "get": _preview()},
        "/receipts/{id}/corrections": {
            "parameters": [receipt_id],
            "patch": _change("correct", "Correct fields", schemas.WholeReceipt, 200, schemas.Correcting),
        },
        "/receipts/{id}/approval": {
            "parameters": [receipt_id],
            "post": _change("approve", "Approve a record", schemas.WholeReceipt, 200, schemas.Approving),
        },
        "/replays": {"post": _change("replay", "Process uploads again", schemas.Replay, 202, schemas.Replaying)},
        "/replays/{replay_id}": {
            "parameters": [replay_id],
            "get": _operation("replayed", "Progress of a replay", schemas.Replay, 200, problems=(404,)),
        },
        "/stats": {"get": _operation("stats", "Counts and sums", free, 200, asked=schemas.Counting)},
        "/queue": {"get": _operation("queue", "Depth of the queue", schemas.Queue, 200)},
        "/live": {"get": _operation("live", "Samples of the last minutes", free, 200, asked=schemas.Watching)},
    }


def _change(name: str, summary: str, said: type[BaseModel], status: int, asked: type[BaseModel]) -> dict[str, Any]:
    """Return an operation that takes its changes from a JSON body."""
    schema = {"$ref": REF.format(model=asked.__name__)}
    return _operation(
        *(name, summary, said, status),
        problems=(404, 409, 413, 415, 422),
        request_body={"required": True, "content": {"application/json": {"schema": schema}}},
    )


def _operation(
    name: str,
    summary: str,
    said: type[BaseModel] | dict[str, Any],
    status: int,
    *,
    asked: type[BaseModel] | None = None,
    problems: tuple[int, ...] = (),
    request_body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    schema = said if isinstance(said, dict) else {"$ref": REF.format(model=said.__name__)}
    made: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            str(status): {"description": summary, "content": {"application/json": {"schema": schema}}},
            **_problems((400, 401, 403, *problems, 503)),
        },
    }
    if asked is not None:
        made["parameters"] = _parameters(asked)
    if request_body is not None:
        made["requestBody"] = request_body
    return made


def _image() -> dict[str, Any]:
    made = _operation("image", "Link to the image", schemas.Link, 200, problems=(404,))
    made["responses"]["302"] = {
        "description": "Redirect to the image, unless the Accept header asks for JSON.",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
    return made


def _preview() -> dict[str, Any]:
    made = _operation(
        *("preview", "One page as a picture that every browser can display", {}, 200),
        asked=schemas.Paging,
        problems=(404,),
    )
    picture: dict[str, Any] = {"schema": {}}
    made["responses"]["200"]["content"] = {"image/jpeg": picture, "image/png": picture}
    return made


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    schema = {"$ref": REF.format(model=schemas.ProblemDetails.__name__)}
    return {
        str(status): {
            "description": _SENTENCES[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in dict.fromkeys(statuses)
    }


def _parameters(asked: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the fields of `asked` as query parameters."""
    schema = asked.model_json_schema()
    made = []
    for name, field in schema["properties"].items():
        inner = {key: value for key, value in field.items() if key not in ("description", "title", "anyOf")}
        choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"]
        # A query omits a parameter instead of sending null. Amounts are described as numbers, not as strings.
        inner |= next((choice for choice in choices if choice.get("type") == "number"), choices[0] if choices else {})
        if inner.get("default") is None:
            inner.pop("default", None)
        made.append({"name": name, "in": "query", "description": field["description"], "schema": inner})
    return made


def _in_path(name: str, description: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
