"""The HTTP API: its answers, its refusals, and how it agrees with its OpenAPI document."""

import asyncio
import datetime as dt
import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from yarl import URL

from tests.component.emulators import Aws
from tests.component.records import put, receipt, record
from tests.support.pictures import picture
from worker.console import routes
from worker.console.api import ConsoleContext
from worker.console.live import Live, QueueDepth
from worker.console.schemas import id_of
from worker.messages.parse import parse
from worker.receipts.receipt import Merchant
from worker.receipts.record import CheckResult, Record
from worker.results.query import Results
from worker.telemetry import Telemetry

TOKEN = "a-token-that-is-hard-to-guess"
Client = TestClient[web.Request, web.Application]


async def _one() -> int:
    return 1


@asynccontextmanager
async def serving(aws: Aws, **changes: Any) -> AsyncIterator[Client]:
    """Serve the API and the console on loopback."""
    settings = aws.settings.model_copy(update={"console": True, **changes})
    depth = QueueDepth(aws.clients.sqs, aws.resources.queue_url)
    app = web.Application()
    context = ConsoleContext(settings=settings, aws=aws.clients, depth=depth, live=Live(depth, Telemetry(), _one))
    await routes.add_routes(app, context)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def api(aws: Aws) -> AsyncIterator[Client]:
    async with serving(aws) as client:
        yield client


async def said(response: Any, status: int = 200) -> Any:
    """Return the JSON body of an answer, which must have `status`."""
    text = await response.text()
    assert response.status == status, text
    return json.loads(text)


async def stored(aws: Aws, document: str) -> Record:
    found = await Results(aws.clients.dynamodb, aws.resources.table).get(document)
    assert found is not None
    return found


def path(document: str, rest: str = "") -> str:
    return f"/v1/receipts/{id_of(document)}{rest}"


@pytest.mark.parametrize("size", [1, 5 * 1024 * 1024 - 1, 5 * 1024 * 1024, 11_000_000])
async def test_an_upload_is_in_the_bucket_as_it_was_sent(aws: Aws, api: Client, size: int) -> None:
    """Small and large files are stored unchanged, under a key that ends with their name."""
    data = bytes(range(256)) * (size // 256 + 1)
    answer = await said(await api.post("/v1/receipts?name=lunch%20%F0%9F%8D%95.jpg", data=io.BytesIO(data[:size])), 202)
    assert answer["key"].endswith("/lunch 🍕.jpg")
    assert answer["id"] == id_of(answer["document"])
    found = await aws.clients.s3.get_object(Bucket=aws.resources.bucket, Key=answer["key"])
    got = await found["Body"].read()
    assert hashlib.sha256(got).digest() == hashlib.sha256(data[:size]).digest()


async def test_an_upload_that_is_too_large_leaves_nothing(aws: Aws) -> None:
    """An upload larger than the limit gets 413, with or without a Content-Length, and leaves nothing behind."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(14):
            yield b"x" * 1_000_000

    async with serving(aws, upload_limit_mib=12) as api:
        assert (await said(await api.post("/v1/receipts", data=io.BytesIO(b"x" * 13_000_000)), 413))["title"]
        assert (await said(await api.post("/v1/receipts", data=endless()), 413))["status"] == 413
    assert "Contents" not in await aws.clients.s3.list_objects_v2(Bucket=aws.resources.bucket)
    assert not (await aws.clients.s3.list_multipart_uploads(Bucket=aws.resources.bucket)).get("Uploads")


async def test_names_of_files_lead_nowhere(aws: Aws, api: Client) -> None:
    """A name with a path or control characters, or an empty one, becomes a harmless end of a key under uploads/."""
    for name in ("..%2F..%2F_receipts%2Fx.json", "%1b%5b2J%E2%80%AEgpj", "%2F", "....", "a" * 200):
        answer = await said(await api.post(f"/v1/receipts?name={name}", data=b"x"), 202)
        assert answer["key"].startswith("uploads/")
        assert answer["key"].count("/") == 3
        assert answer["key"].isprintable()
        assert len(answer["key"].encode()) < 200


async def test_pages_of_a_list_go_on_by_their_cursor(aws: Aws, api: Client) -> None:
    """All pages together contain each record once, newest first, with its id."""
    await put(aws, [record(number) for number in range(25)])
    ids, cursor = [], None
    while True:
        page = await said(
            await api.get("/v1/receipts", params={"limit": "10"} | ({"cursor": cursor} if cursor else {}))
        )
        ids += [row["id"] for row in page["receipts"]]
        if not (cursor := page["cursor"]):
            break
    assert ids == [id_of(record(number).document) for number in reversed(range(25))]


async def test_a_list_is_filtered(aws: Aws, api: Client) -> None:
    """Filters in the query work like those of the command line."""
    await put(aws, [record(1), record(2, status="needs_review"), record(3, status="failed")])
    for query, wanted in (
        ("status=failed&status=needs_review", [3, 2]),
        ("merchant=cafe+muller&total_to=2.50", [1]),
        ("uploaded_to=2026-11-01T08:00:02Z", [2, 1]),
        ("reason=too_large", [3]),
    ):
        page = await said(await api.get(f"/v1/receipts?{query}"))
        assert [row["document"] for row in page["receipts"]] == [record(number).document for number in wanted], query


async def test_one_record_is_given_whole(aws: Aws, api: Client) -> None:
    """The answer is the record as stored; a missing record gives 404."""
    await put(aws, [record(1)])
    found = await said(await api.get(path(record(1).document)))
    assert found == {"id": id_of(record(1).document), **record(1).as_json()}
    assert (await said(await api.get(path("receipts/none.jpg")), 404))["title"] == "Not Found"


@pytest.mark.parametrize(
    "receipt_id", ["x", "!!", "A" * 5_000, id_of("sha256:" + "0" * 64), id_of("replay:one"), id_of("é/b") + "="]
)
async def test_an_id_that_is_not_a_document_is_not_found(aws: Aws, api: Client, receipt_id: str) -> None:
    """Ids that do not name a document, such as those of content rows and replays, give 404 and reveal nothing."""
    problem = await said(await api.get(f"/v1/receipts/{receipt_id}"), 404)
    assert problem["detail"] == "The receipt does not exist."


async def test_the_image_is_the_upload_and_runs_nothing(aws: Aws, api: Client) -> None:
    """The link leads to the exact bytes, with the detected media type and never the claimed one."""
    bucket = aws.resources.bucket
    await aws.clients.s3.put_object(Bucket=bucket, Key="a.jpg", Body=picture(1), ContentType="text/html")
    await aws.clients.s3.put_object(Bucket=bucket, Key="b.html", Body=b"<script>", ContentType="text/html")
    await put(aws, [record(1, document=f"{bucket}/a.jpg"), record(2, document=f"{bucket}/b.html", media_type=None)])
    answer = await api.get(path(f"{bucket}/a.jpg", "/image"), allow_redirects=False)
    assert answer.status == 302
    assert answer.headers["Location"].startswith(aws.url)
    async with api.session.get(URL(answer.headers["Location"], encoded=True)) as image:
        assert (await image.read(), image.content_type) == (picture(1), "image/jpeg")
    link = await said(await api.get(path(f"{bucket}/b.html", "/image"), headers={"Accept": "application/json"}))
    async with api.session.get(URL(link["url"], encoded=True)) as other:
        assert other.content_type == "application/octet-stream"
        assert other.headers["Content-Disposition"] == "attachment"


async def test_a_preview_is_a_picture_that_browsers_show(aws: Aws, api: Client) -> None:
    """A TIFF is shown as JPEG, page by page; a file that is missing or not a picture gives 404."""
    bucket = aws.resources.bucket
    await aws.clients.s3.put_object(Bucket=bucket, Key="a.tif", Body=picture(1, kind="TIFF"))
    await aws.clients.s3.put_object(Bucket=bucket, Key="b.txt", Body=b"text")
    await put(
        aws, [record(number, document=f"{bucket}/{key}") for number, key in enumerate(("a.tif", "b.txt", "gone"))]
    )
    shown = await api.get(path(f"{bucket}/a.tif", "/preview"))
    assert (shown.status, shown.content_type) == (200, "image/jpeg")
    assert (await shown.read())[:2] == b"\xff\xd8"
    for document, page in (("a.tif", 2), ("b.txt", 1), ("gone", 1)):
        await said(await api.get(path(f"{bucket}/{document}", f"/preview?page={page}")), 404)


async def test_a_correction_keeps_the_reading(aws: Aws, api: Client) -> None:
    """A correction sets the value and the index and keeps the model's reading; withdrawing it restores the record."""
    await put(aws, [record(1)])
    document = record(1).document
    change = {"corrections": {"total": "9.99", "merchant.name": "Bäckerei"}, "revision": 1}
    found = await said(await api.patch(path(document, "/corrections"), json=change))
    assert (found["total"], found["receipt"]["total"], found["revision"]) == ("9.99", "2.00", 2)
    assert (await said(await api.get("/v1/receipts?merchant=backerei")))["receipts"][0]["total"] == "9.99"
    found = await said(
        await api.patch(path(document, "/corrections"), json={"corrections": {"merchant.name": "Café Müller"}})
    )
    assert found["corrections"] == {"total": "9.99"}, "a value that equals the reading is not a correction"
    found = await said(await api.patch(path(document, "/corrections"), json={"withdraw": ["total"], "revision": 3}))
    assert found["corrections"] == {}
    assert (await stored(aws, document)).receipt == record(1).receipt


async def test_a_change_to_an_outdated_revision_is_refused(aws: Aws, api: Client) -> None:
    """Correcting an outdated revision gives a conflict and changes nothing."""
    await put(aws, [record(1)])
    url = path(record(1).document, "/corrections")
    statuses = [
        (await api.patch(url, json={"corrections": {"total": total}, "revision": 1})).status
        for total in ("1.50", "2.50")
    ]
    assert statuses == [200, 409]
    assert (await stored(aws, record(1).document)).revision == 2


@pytest.mark.not_on("moto", "concurrency")
async def test_two_people_do_not_overwrite_each_other(aws: Aws, api: Client) -> None:
    """Of many simultaneous changes to one revision, exactly one succeeds."""
    await put(aws, [record(1)])
    url = path(record(1).document, "/corrections")
    bodies = [{"corrections": {"total": f"{number}.50"}, "revision": 1} for number in range(8)]
    statuses = [answer.status for answer in await asyncio.gather(*(api.patch(url, json=body) for body in bodies))]
    assert sorted(statuses) == [200, *[409] * 7]
    assert (await stored(aws, record(1).document)).revision == 2


async def test_an_approval_takes_a_record_out_of_review(aws: Aws, api: Client) -> None:
    """An approved record is `extracted`, with reviewer and time; a record without fields cannot be approved."""
    await put(aws, [record(1, status="needs_review"), record(2, status="failed")])
    found = await said(await api.post(path(record(1).document, "/approval"), json={"by": "Ada", "revision": 1}))
    assert (found["status"], found["reviewed_by"]) == ("extracted", "Ada")
    assert found["reviewed_at"]
    assert (await said(await api.get("/v1/receipts?status=needs_review")))["receipts"] == []
    failed = record(2, status="failed").document
    assert "no fields" in (await said(await api.post(path(failed, "/approval"), json={}), 409))["detail"].lower()
    await said(await api.patch(path(failed, "/corrections"), json={"corrections": {"total": "5"}}))
    assert (await said(await api.post(path(failed, "/approval"), json={})))["status"] == "extracted"


async def test_a_replay_enqueues_once_by_its_name(aws: Aws, api: Client) -> None:
    """A replay that is sent twice enqueues once, and its progress can be queried."""
    await put(aws, [record(1), record(2, status="failed")])
    ids = [id_of(record(number).document) for number in (1, 2)]
    body = {"ids": ids, "force": True, "replay_id": "monday"}
    for _ in range(2):
        done = await said(await api.post("/v1/replays", json=body), 202)
        assert done == {"replay_id": "monday", "uploads": 2, "sent": 2, "done": True}
    assert (await said(await api.get("/v1/replays/monday")))["done"]
    await said(await api.get("/v1/replays/never"), 404)
    messages = (
        await aws.clients.sqs.receive_message(
            QueueUrl=aws.resources.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
    ).get("Messages", [])
    commands = [upload for message in messages for upload in parse(message["Body"]).uploads]
    assert sorted(upload.document for upload in commands) == sorted(record(number).document for number in (1, 2))
    assert {(upload.replay_id, upload.force) for upload in commands} == {("monday", True)}


async def test_the_queue_and_the_statistics_are_reported(aws: Aws, api: Client) -> None:
    """The depth comes from the queue, counts and sums come from the table."""
    today = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    await put(aws, [record(number, uploaded_at=today) for number in range(3)])
    for _ in range(2):
        await aws.clients.sqs.send_message(QueueUrl=aws.resources.dead_letter_url, MessageBody="x")
    assert (await said(await api.get("/v1/queue")))["dead_letters"] == 2
    counted = await said(await api.get("/v1/stats?days=2"))
    assert counted["statuses"] == {"extracted": 3}
    assert counted["currencies"] == [{"name": "EUR", "currency": "EUR", "count": 3, "total": "6.00"}]
    live = await said(await api.get("/v1/live"))
    assert live["samples"] == [] or live["samples"][-1]["tasks"] == 1


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        ("GET /v1/receipts?limit=0", None, 400),
        ("GET /v1/receipts?limt=5", None, 400),
        ("GET /v1/receipts?limit=5&limit=6", None, 400),
        ("GET /v1/receipts?cursor=x", None, 400),
        ("GET /v1/receipts?purchased_from=2026-02-01&purchased_to=2026-01-01", None, 400),
        ("GET /v1/receipts?merchant=%21", None, 400),
        ("GET /v1/receipts?purchased_from=0", None, 400),
        ("GET /v1/receipts?uploaded_from=0001-01-01T00:00:00%2B23:59", None, 400),
        ("GET /v1/receipts?uploaded_to=9999-12-31T23:59:59-23:59", None, 400),
        ("GET /v1/nothing", None, 404),
        ("DELETE /v1/receipts", None, 405),
        ("POST /v1/receipts", b"", 400),
        ("POST /v1/replays", b"{", 400),
        ("POST /v1/replays", b"[" * 100_000, 400),
        ("POST /v1/replays", b"\xff\xfe", 400),
        ("POST /v1/replays", {"ids": []}, 422),
        ("POST /v1/replays", {"ids": ["AAAA"], "force": "perhaps"}, 422),
        ("POST /v1/replays", {"ids": ["cmVjZWlwdHMvbm8"], "replay_id": "../x"}, 422),
        ("POST /v1/replays", {"ids": ["cmVjZWlwdHMvbm8"]}, 404),
        ("POST /v1/replays", b"x" * 1_040_000, 413),
    ],
)
async def test_each_refusal_is_a_problem_document(
    aws: Aws, api: Client, request_line: str, body: Any, status: int
) -> None:
    """Each refusal is application/problem+json with its status and a sentence."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    method, url = request_line.split()
    answer = await api.request(method, url, data=data, headers={"Content-Type": "application/json"})
    problem = await said(answer, status)
    assert answer.content_type == "application/problem+json"
    assert problem["status"] == status
    assert problem["detail"]


@pytest.mark.parametrize(
    ("corrections", "field"),
    [
        ({"total": "a lot"}, "total"),
        ({"totl": "1"}, "totl"),
        ({"payment.card_last_four": "4242424242424242"}, "card_last_four"),
    ],
)
async def test_a_wrong_correction_names_its_field(
    aws: Aws, api: Client, corrections: dict[str, Any], field: str
) -> None:
    """Values that a receipt cannot have are refused as they would be from a model."""
    await put(aws, [record(1)])
    problem = await said(
        await api.patch(path(record(1).document, "/corrections"), json={"corrections": corrections}), 422
    )
    assert field in problem["detail"]


async def test_a_body_that_is_not_what_its_encoding_says_is_refused(aws: Aws, api: Client) -> None:
    """A body that cannot be decompressed gives 400, for uploads and for JSON."""
    await put(aws, [record(1)])
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for method, where in (("PATCH", path(record(1).document, "/corrections")), ("POST", "/v1/receipts")):
        await said(await api.request(method, where, data=b"{}", headers=headers), 400)


async def test_more_than_a_row_holds_is_refused(aws: Aws, api: Client) -> None:
    """Corrections too large for DynamoDB are refused with an explanation, and the record stays unchanged."""
    await put(aws, [record(1)])
    long = [{"description": "x" * 1_900, "amount": "1.00"}] * 500
    answer = await said(await _correct(api, record(1), {"items": long}), 422)
    assert "400 KB" in answer["detail"]
    assert (await stored(aws, record(1).document)).revision == 1


async def _correct(api: Client, which: Record, corrections: dict[str, Any]) -> Any:
    return await api.patch(path(which.document, "/corrections"), json={"corrections": corrections})


async def test_checks_are_repeated_after_a_correction(aws: Aws, api: Client) -> None:
    """A correct correction clears a failed check, a wrong one adds one, and `fields_left_out` stays."""
    left_out = CheckResult(name="fields_left_out", message="Read incompletely: tip.", weight=0.25)
    wrong = record(1, said=receipt(1, total=Decimal(0)), status="needs_review")
    await put(aws, [wrong.checked(today=dt.date(2026, 11, 2)).model_copy(update={"checks": (left_out,)})])
    for total, names in (("1.00", ["fields_left_out"]), ("7.77", ["fields_left_out", "items_against_total"])):
        answer = await said(await _correct(api, wrong, {"total": total}))
        assert [check["name"] for check in answer["checks"]] == names
        assert answer["status"] == "needs_review", "only an approval takes it out of review"
    assert [check.name for check in (await stored(aws, wrong.document)).checks] == names


async def test_a_correction_can_make_and_end_a_possible_duplicate(aws: Aws, api: Client) -> None:
    """A record corrected to another record's purchase is marked as its duplicate, until it is corrected again."""
    said_by = [receipt(1, total=Decimal(total), receipt_number="R-1") for total in (5, 6)]
    await put(aws, [record(1, said=said_by[0]), record(2, said=said_by[1])])
    for total, other in (("5.00", record(1).document), ("6.50", None)):
        answer = await said(await _correct(api, record(2), {"total": total}))
        assert answer["possible_duplicate_of"] == other
    twin = record(3, possible_duplicate_of=record(1).document, content_sha256=record(1).content_sha256)
    await put(aws, [twin])
    answer = await said(await _correct(api, twin, {"total": "99.00"}))
    assert answer["possible_duplicate_of"] == record(1).document, "the same bytes stay the same"


async def test_a_record_without_a_receipt_has_its_shape_too(aws: Aws, api: Client) -> None:
    """Every record has the same fields: lists may be empty, and parts may be null."""
    await put(aws, [record(1, status="rejected")])
    answer = await said(await api.get(path(record(1).document)))
    assert (answer["receipt"], answer["items"], answer["taxes"]) == (None, [], [])
    assert answer["merchant"]["name"] is None


async def test_the_console_is_found_without_its_slash(api: Client) -> None:
    """/ and /console redirect to the console."""
    for where in ("/", "/console"):
        answer = await api.get(where, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/console/")


async def test_the_document_asks_for_a_token_only_where_one_is_needed(aws: Aws, api: Client) -> None:
    """Without a token, the OpenAPI document declares no security."""
    assert (await said(await api.get("/v1/openapi.json")))["security"] == []
    async with serving(aws, api_token=SecretStr(TOKEN)) as guarded:
        assert (await said(await guarded.get("/v1/openapi.json")))["security"] == [{"token": []}]


async def test_a_body_of_another_type_is_refused(aws: Aws, api: Client) -> None:
    """A form submission is not accepted as JSON."""
    answer = await api.post("/v1/replays", data=b'{"ids":["AAAA"]}', headers={"Content-Type": "text/plain"})
    await said(answer, 415)


async def test_with_a_token_nothing_goes_without(aws: Aws) -> None:
    """Only the right bearer token gives access; the page and the OpenAPI document need none."""
    async with serving(aws, api_token=SecretStr(TOKEN)) as api:
        for given in (
            None,
            "",
            "Bearer",
            "Bearer x",
            f"Basic {TOKEN}",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            "Bearer é",
        ):
            answer = await api.get("/v1/queue", headers={"Authorization": given} if given is not None else {})
            problem = await said(answer, 401)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert TOKEN not in json.dumps(problem)
        await said(await api.post("/v1/receipts", data=b"x"), 401)
        await said(await api.get("/v1/queue", headers={"Authorization": f"bearer {TOKEN}"}))
        assert (await api.get("/console/")).status == 200
        assert (await api.get("/v1/openapi.json")).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8000"}, 403),
        ({"Host": "localhost:8000", "Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({}, 404),
    ],
)
async def test_without_a_token_only_this_machine_s_own_pages_are_served(
    aws: Aws, api: Client, headers: dict[str, str], status: int
) -> None:
    """Pages of other origins cannot change anything, and DNS rebinding gives no access."""
    answer = await api.post("/v1/replays", json={"ids": ["cmVjZWlwdHMvbm8"]}, headers=headers)
    await said(answer, status)


async def test_every_answer_has_the_headers_that_protect_a_browser(aws: Aws, api: Client) -> None:
    """Headers forbid sniffing, framing, caching and sharing with other origins; the console runs no inline script."""
    for url in ("/v1/queue", "/v1/none", "/console/", "/console/app.js", "/console/none.js"):
        answer = await api.get(url)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
    policy = (await api.get("/console/")).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert (await api.get("/v1/queue")).headers["Cache-Control"] == "no-store"
    for escape in (
        "/console/../settings.py",
        "/console/%2e%2e/settings.py",
        "/console/..%2fapi.py",
        "/console/__init__.py",
    ):
        assert (await api.get(escape)).status == 404


async def test_a_hostile_receipt_is_json_like_any_other(aws: Aws, api: Client) -> None:
    """Markup, quotes, control characters and direction marks are returned as the same text."""
    hostile = '</script><img src=x onerror=alert(1)>"\\\x1b[2J\u202e\u2028.'
    await put(aws, [record(1, said=receipt(1, merchant=Merchant(name=hostile), receipt_number=hostile))])
    answer = await api.get(path(record(1).document))
    text = await answer.text()
    assert json.loads(text)["merchant"]["name"] == hostile
    assert answer.content_type == "application/json"
    assert not {"\x1b", "\u202e", "\u2028"} & set(text)
