"""A proxy in front of the emulator that records the IAM action and resource of each call."""

import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

import aiohttp
from aiohttp import web

ACTIONS = {
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "SendMessageBatch": "SendMessage",
}
"""Operations with another name in IAM
(docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html)."""
SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
PRESIGNED_FOR = re.compile(r"[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
AGENT = "/agent"
"""Path under which the recorder acts as the ECS agent."""
METADATA = "/metadata"
"""Path under which it serves the task's metadata."""
NOT_A_CALL = {
    # S3 needs this permission to answer 404 instead of 403 for a missing key. No call uses it directly
    # (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "Permissions").
    "s3:ListBucket",
}
HOP_BY_HOP = {"host", "expect", "transfer-encoding", "connection", "content-length", "content-encoding"}


@dataclass(frozen=True, order=True)
class Call:
    """The IAM action and resource of one call."""

    action: str
    resource: str


@dataclass
class Recorder:
    """A proxy that forwards calls to `emulator` and invocations to `runtime`. `calls` holds each distinct call once."""

    emulator: str
    runtime: str
    region: str
    account: str
    cluster: str
    service: str
    calls: set[Call] = field(default_factory=set)
    url: str = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Recorder"]:
        """Listen on a free port on loopback."""
        app = web.Application(client_max_size=0)
        app.router.add_put(AGENT + "/task-protection/v1/state", self._protect)
        app.router.add_get(METADATA + "/task", self._metadata)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _protect(self, request: web.Request) -> web.Response:
        """Answer like the ECS agent, which uses the task's role
        (docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html)."""
        wanted = await request.json()
        self._note(
            "ecs:UpdateTaskProtection", f"arn:aws:ecs:{self.region}:{self.account}:task/{self.cluster}/0123456789"
        )
        return web.json_response({"protection": {"ProtectionEnabled": wanted["ProtectionEnabled"]}})

    async def _metadata(self, _: web.Request) -> web.Response:
        """Return the task's metadata, which names its service
        (docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html).
        """
        return web.json_response({"Cluster": self.cluster, "ServiceName": self.service})

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        signed = SIGNED_FOR.search(request.headers.get("Authorization", "")) or PRESIGNED_FOR.fullmatch(
            request.query.get("X-Amz-Credential", "")
        )
        service = signed["service"] if signed else "?"
        self._classify(service, request, body)
        base = self.runtime if service == "sagemaker" else self.emulator
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        async with self._session.request(
            request.method, base + request.path_qs, data=io.BytesIO(body), headers=headers, allow_redirects=False
        ) as reply:
            kept = {name: value for name, value in reply.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=reply.status, body=await reply.read(), headers=kept)

    def _classify(self, service: str, request: web.Request, body: bytes) -> None:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if service == "sqs":
            parameters = json.loads(body)
            name = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
            self._note(f"sqs:{ACTIONS.get(operation, operation)}", f"arn:aws:sqs:{self.region}:{self.account}:{name}")
        elif service == "dynamodb":
            parameters = json.loads(body)
            index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
            for table in parameters.get("RequestItems", None) or [parameters["TableName"]]:
                resource = f"arn:aws:dynamodb:{self.region}:{self.account}:table/{table}{index}"
                self._note(f"dynamodb:{operation}", resource)
        elif service == "sagemaker":
            name = request.path.split("/")[2]
            endpoint = f"arn:aws:sagemaker:{self.region}:{self.account}:endpoint/{name.lower()}"
            self._note("sagemaker:InvokeEndpoint", endpoint)
        elif service == "ecs":
            (name,) = json.loads(body)["services"]
            services = f"arn:aws:ecs:{self.region}:{self.account}:service/{self.cluster}"
            self._note(f"ecs:{operation}", f"{services}/{name}")
        elif service == "s3":
            bucket, _, key = unquote(request.path).lstrip("/").partition("/")
            self._note(
                f"s3:{_s3_action(request, key)}", f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
            )
        else:
            self._note(f"{service}:{operation}", "?")

    def _note(self, action: str, resource: str) -> None:
        self.calls.add(Call(action, resource))


def _s3_action(request: web.Request, key: str) -> str:
    if not key:
        return "ListBucket"
    if request.method in {"GET", "HEAD"}:
        return "GetObjectVersion" if "versionId" in request.query else "GetObject"
    if request.method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in request.query else "DeleteObject"
    return "PutObject"


@dataclass(frozen=True)
class Policy:
    """An IAM policy that has only Allow statements."""

    statements: tuple[dict[str, Any], ...]

    @classmethod
    def parse(cls, document: str) -> "Policy":
        """Return a parsed policy document. Fails for elements that this parser does not support."""
        statements = json.loads(document)["Statement"]
        for statement in statements:
            assert set(statement) == {"Sid", "Effect", "Action", "Resource"}, statement
            assert statement["Effect"] == "Allow"
        return cls(tuple(statements))

    def allows(self, call: Call) -> bool:
        """Return whether a statement allows `call`."""
        return any(grant.covers(call) for grant in self.grants)

    @property
    def grants(self) -> list["Grant"]:
        """Return every allowed pair of an action and a resource."""
        return [
            Grant(statement["Sid"], action, resource)
            for statement in self.statements
            for action in _list(statement["Action"])
            for resource in _list(statement["Resource"])
        ]


@dataclass(frozen=True)
class Grant:
    """One action on one resource, either with wildcards."""

    sid: str
    action: str
    resource: str

    def covers(self, call: Call) -> bool:
        """Return whether this allows `call`."""
        return call.action == self.action and fnmatchcase(call.resource, self.resource)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
