"""The console as a person uses it, in Chromium in front of a real worker."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect
from pydantic import SecretStr

from tests.browser.conftest import Console, open_page, picture_of
from tests.component.records import put, receipt, record
from tests.support.endpoint import reading, total_of
from tests.support.pictures import picture
from worker.aws.resources import OWN_PREFIX
from worker.receipts.receipt import Item, Merchant, Payment, Tax
from worker.receipts.record import CheckResult, Record
from worker.results.query import Results

CHECK = CheckResult(name="total_zero", message="The total is zero.", weight=0.4)
QUIET = f"{OWN_PREFIX}a.jpg"
"""A key that the worker ignores, so that its record stays as the test wrote it."""
HOSTILE = '<script>window.owned=1</script><img src=x onerror="window.owned=1">'


async def stored(console: Console, document: str) -> Record:
    found = await Results(console.aws.clients.dynamodb, console.aws.resources.table).get(document)
    assert found is not None
    return found


async def test_a_receipt_from_upload_to_approval(console: Console, browser: Browser, tmp_path: Path) -> None:
    """A file is uploaded, extracted, corrected, approved and read again, and the table reflects each step."""
    file = tmp_path / "lunch.jpg"
    file.write_bytes(picture(7, size=(400, 700)))

    def unsure(body: bytes) -> bytes:
        said = json.loads(reading(body))
        said["confidence"] = {"total": 0.3}
        return json.dumps(said).encode()

    console.endpoint.answer = unsure
    _, page, errors = await open_page(browser)
    await page.goto(console.url)
    await expect(page.get_by_text("No receipts yet.")).to_be_visible()
    await picture_of(page, "1-empty")

    await page.set_input_files("#files", file)
    row = page.locator(".upload", has_text="lunch.jpg")
    await expect(row.get_by_text("Needs review")).to_be_visible()
    await expect(row).to_contain_text("Test Shop")
    await picture_of(page, "2-dropped")

    await page.get_by_role("link", name="Review").click()
    await page.get_by_role("link", name="Test Shop").click()
    await expect(page.get_by_role("heading", name="Test Shop")).to_be_visible()
    await expect(page.locator(".stage.loaded img")).to_be_visible()
    await picture_of(page, "3-one-receipt")

    total = page.get_by_label("Total", exact=True)
    await expect(total).to_have_value(total_of(file.read_bytes()))
    await total.fill("1.234,50")
    await total.press("Enter")
    await expect(page.get_by_text(f"The model read: {total_of(file.read_bytes())}")).to_be_visible()
    await expect(total).to_have_value("1234.50")
    await page.keyboard.press("a")
    await expect(page.get_by_text("Nothing to review.")).to_be_visible()

    (document,) = [row.document async for row in _rows(console)]
    found = await stored(console, document)
    assert (found.status, found.corrections) == ("extracted", {"total": "1234.50"})
    assert found.receipt is not None
    assert found.receipt.total == Decimal(total_of(file.read_bytes()))
    assert found.reviewed_at is not None

    console.endpoint.answer = None
    calls = sum(console.endpoint.calls.values())
    await page.get_by_role("link", name="All").click()
    await page.get_by_role("link", name="Test Shop").click()
    await page.get_by_role("button", name="Read again").click()
    await expect(page.get_by_text("Read again.", exact=True)).to_be_visible()
    found = await stored(console, document)
    assert sum(console.endpoint.calls.values()) == calls + 1
    assert found.corrections == {"total": "1234.50"}, "a person's correction stays"
    assert len(found.history) == 1
    await picture_of(page, "4-read-again")
    assert errors == []


async def _rows(console: Console) -> Any:
    from worker.results.selection import Selection

    async for row in Results(console.aws.clients.dynamodb, console.aws.resources.table).walk(Selection()):
        yield row


async def test_dropping_files_on_the_page_uploads_them(console: Console, browser: Browser) -> None:
    """Files dropped anywhere on the page are uploaded, several at a time; a file that is not a picture is reported."""
    _, page, errors = await open_page(browser)
    await page.goto(console.url)
    await page.evaluate(
        """(files) => {
          const data = new DataTransfer();
          for (const [name, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name));
          document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
        }""",
        [["a.jpg", list(picture(1))], ["b.jpg", list(picture(2))], ["c.txt", [104, 105]]],
    )
    await expect(page.locator(".upload", has_text="Test Shop")).to_have_count(2)
    await expect(page.locator(".upload", has_text="c.txt")).to_contain_text("Not an image")
    assert errors == []


async def test_markup_in_a_receipt_is_shown_as_written(console: Console, browser: Browser) -> None:
    """Hostile text in any field is shown as text on every page and is never executed."""
    said = receipt(
        1,
        merchant=Merchant(name=HOSTILE, address=HOSTILE, phone=HOSTILE, tax_id=HOSTILE),
        items=(Item(description=HOSTILE, product_code=HOSTILE, amount=Decimal(1)),),
        taxes=(Tax(description=HOSTILE, amount=Decimal(1)),),
        payment=Payment(method=HOSTILE),
        receipt_number=HOSTILE,
    )
    hostile: dict[str, Any] = {
        "detail": HOSTILE,
        "reason": HOSTILE,
        "checks": (CheckResult(name="total_zero", message=HOSTILE),),
    }
    await put(
        console.aws,
        [
            record(1, said=said, status="needs_review", possible_duplicate_of=f"receipts/{HOSTILE}", **hostile),
            record(2, status="failed").model_copy(update={"reason": HOSTILE, "detail": HOSTILE}),
            record(3, document=f"receipts/{HOSTILE}", status="rejected"),
        ],
    )
    _, page, errors = await open_page(browser)
    for view in ("", "review", "failures", "live"):
        await page.goto(f"{console.url}/console/#/{view}")
        await page.wait_for_timeout(700)
    await page.goto(f"{console.url}/console/#/review")
    await page.get_by_role("link", name=HOSTILE).first.click()
    await expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    await page.get_by_text("About this record").click()
    await picture_of(page, "5-hostile")
    assert await page.evaluate("window.owned") is None
    assert await page.locator("main script, main img[src=x]").count() == 0
    assert [error for error in errors if "Content Security Policy" in error] == []


async def test_the_keyboard_is_enough(console: Console, browser: Browser) -> None:
    """j and k move, Enter opens, a approves and opens the next, Escape goes back, g switches views."""
    await put(console.aws, [record(number, status="needs_review", checks=(CHECK,)) for number in range(3)])
    _, page, _ = await open_page(browser)
    await page.goto(f"{console.url}/console/#/review")
    await expect(page.locator("tbody tr")).to_have_count(3)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator(".place")).to_have_text("2 of 3")
    await page.keyboard.press("k")
    await expect(page.locator(".place")).to_have_text("1 of 3")
    await expect(page.get_by_role("button", name="Approve")).to_be_visible()
    await page.keyboard.press("a")
    await expect(page.locator(".place")).to_have_text("1 of 2")
    assert (await stored(console, record(2).document)).status == "extracted"
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("heading", name="Review")).to_be_visible()
    await page.keyboard.press("g")
    await page.keyboard.press("l")
    await expect(page.get_by_role("heading", name="Live")).to_be_visible()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()


async def test_the_image_is_zoomed_and_turned(console: Console, browser: Browser) -> None:
    """Buttons and keys zoom and rotate the picture, and one key resets it."""
    bucket = console.aws.resources.bucket
    await console.aws.clients.s3.put_object(Bucket=bucket, Key=QUIET, Body=picture(3, size=(300, 500)))
    await put(console.aws, [record(1, document=f"{bucket}/{QUIET}")])
    _, page, _ = await open_page(browser)
    await page.goto(console.url)
    await page.get_by_role("link", name="Café Müller").click()
    image = page.locator(".stage.loaded img")
    before = await image.bounding_box()
    assert before is not None
    await page.get_by_role("button", name="Zoom in").click()
    await page.keyboard.press("+")
    larger = await image.bounding_box()
    assert larger is not None
    assert larger["width"] > before["width"] * 1.5
    await page.keyboard.press("t")
    assert "rotate(90deg)" in str(await image.get_attribute("style"))
    await page.keyboard.press("0")
    assert await image.bounding_box() == before


async def test_a_long_receipt_starts_at_its_top_at_a_readable_width(console: Console, browser: Browser) -> None:
    """A long receipt starts at its top, at a readable width, and the wheel scrolls down the picture first."""
    bucket = console.aws.resources.bucket
    await console.aws.clients.s3.put_object(Bucket=bucket, Key=QUIET, Body=picture(3, size=(240, 2_400)))
    await put(console.aws, [record(1, document=f"{bucket}/{QUIET}")])
    _, page, _ = await open_page(browser)
    await page.goto(console.url)
    await page.get_by_role("link", name="Café Müller").click()
    image, stage = page.locator(".stage.loaded img"), page.locator(".stage")
    begun, room = await image.bounding_box(), await stage.bounding_box()
    assert begun is not None
    assert room is not None
    assert begun["width"] > room["width"] * 0.3
    assert abs(begun["y"] - room["y"]) < 2, "its top is at the top"
    await stage.hover()
    await page.mouse.wheel(0, 200)
    moved = await image.bounding_box()
    assert moved is not None
    assert abs(begun["y"] - moved["y"] - 200) < 2
    assert await page.evaluate("scrollY") == 0


async def test_typing_survives_the_answer_to_another_correction(console: Console, browser: Browser) -> None:
    """Typing in a field while another correction is being stored loses nothing; both are stored."""
    await put(console.aws, [record(1, document=f"{console.aws.resources.bucket}/{QUIET}", status="needs_review")])
    _, page, errors = await open_page(browser)

    async def late(route: Any) -> None:
        answer = await route.fetch()
        await asyncio.sleep(0.8)
        await route.fulfill(response=answer)

    await page.route("**/corrections", late)
    await page.goto(f"{console.url}/console/#/review")
    await page.get_by_role("link", name="Café Müller").click()
    total, currency = page.get_by_label("Total", exact=True), page.get_by_label("Currency")
    await total.fill("7")
    await total.press("Tab")
    await expect(currency).to_be_focused()
    await page.keyboard.type("us", delay=50)
    await page.wait_for_timeout(1_200)
    await page.keyboard.type("d")
    await expect(currency).to_have_value("usd")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The model read: EUR")).to_be_visible()
    await expect(total).to_have_value("7.00")
    found = await stored(console, f"{console.aws.resources.bucket}/{QUIET}")
    assert found.corrections == {"total": "7", "currency": "USD"}
    await page.get_by_role("button", name="Undo correction").last.press("Enter")
    await expect(currency).to_have_value("EUR")
    await expect(currency).to_be_focused()
    assert errors == []


async def test_lines_are_corrected_one_after_the_other(console: Console, browser: Browser) -> None:
    """Lines can be changed, added and removed; two quick changes are both stored, an empty new line is not."""
    document = f"{console.aws.resources.bucket}/{QUIET}"
    items = (Item(description="Milk", amount=Decimal("1.00")), Item(description="Bread", amount=Decimal("2.00")))
    await put(console.aws, [record(1, document=document, said=receipt(1, items=items), status="needs_review")])
    _, page, errors = await open_page(browser)

    async def late(route: Any) -> None:
        await asyncio.sleep(0.5)
        await route.continue_()

    await page.route("**/corrections", late)
    await page.goto(f"{console.url}/console/#/review")
    await page.get_by_role("link", name="Café Müller").click()
    await page.get_by_label("Amount, items 1").fill("1,50")
    await page.get_by_label("Description, items 2").fill("Rye bread")
    await page.get_by_label("Description, items 2").press("Enter")
    await expect(page.get_by_text("Corrected; the model read 2")).to_be_visible()
    await page.wait_for_timeout(1_500)
    await page.get_by_role("button", name="Add a line").first.click()
    await expect(page.get_by_label("Description, items 3")).to_be_focused()
    await page.keyboard.type("Eggs")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Items (3)")).to_be_visible()
    await page.get_by_role("button", name="Add a line").first.click()
    await page.get_by_role("button", name="Remove items 4").click()
    await page.get_by_role("button", name="Remove items 1").press("Enter")
    await expect(page.get_by_role("heading", name="Items (2)")).to_be_visible()
    await expect(page.get_by_role("button", name="Remove items 1")).to_be_focused()
    found = (await stored(console, document)).corrected
    assert found is not None
    assert [(item.description, item.amount) for item in found.items] == [("Rye bread", Decimal("2.00")), ("Eggs", None)]
    assert errors == []


async def test_invisible_characters_are_shown_as_marks(console: Console, browser: Browser) -> None:
    """Control and direction characters in names of files and merchants are shown as visible marks."""
    name = "bill\u202egpj.exe\x1b[2J"
    await put(console.aws, [record(1, said=receipt(1, merchant=Merchant(name=name))), record(2, status="failed")])
    await put(console.aws, [record(3, document=f"receipts/{name}", status="failed")])
    _, page, _ = await open_page(browser)
    for view in ("", "failures"):
        await page.goto(f"{console.url}/console/#/{view}")
        await expect(page.locator("tbody")).to_contain_text("bill\ufffdgpj.exe\ufffd[2J")
        assert "\u202e" not in await page.locator("main").inner_text()


async def test_a_new_view_gets_the_focus(console: Console, browser: Browser) -> None:
    """Opening a view moves the focus into it and announces its content to screen readers."""
    await put(console.aws, [record(1)])
    _, page, _ = await open_page(browser)
    await page.goto(console.url)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator("#said")).to_have_text("Café Müller, Extracted")
    assert await page.title() == "Café Müller · Receipts"
    assert await page.evaluate("document.activeElement.id") == "main"


async def test_a_list_that_cannot_be_loaded_says_so(console: Console, browser: Browser) -> None:
    """A list that cannot be loaded says so, and loads once the worker is reachable again."""
    await put(console.aws, [record(1, status="needs_review")])
    _, page, _ = await open_page(browser)
    await page.route("**/v1/**", lambda route: route.abort())
    for view in ("review", "live"):
        await page.goto(f"{console.url}/console/#/{view}")
        await expect(page.locator(".empty")).to_contain_text("The worker cannot be reached.")
    await page.goto(f"{console.url}/console/#/review")
    await expect(page.locator(".empty")).to_be_visible()
    await picture_of(page, "7-unreachable")
    await page.unroute_all()
    await expect(page.locator("tbody tr")).to_have_count(1, timeout=15_000)
    await expect(page.locator(".empty")).to_be_hidden()


async def test_a_failed_upload_can_be_entered_by_hand(console: Console, browser: Browser) -> None:
    """A failed upload shows its picture, so that a person can enter the fields."""
    bucket = console.aws.resources.bucket
    await console.aws.clients.s3.put_object(Bucket=bucket, Key=QUIET, Body=picture(3, size=(300, 500)))
    await put(console.aws, [record(1, document=f"{bucket}/{QUIET}", status="failed", media_type=None)])
    _, page, _ = await open_page(browser)
    await page.goto(f"{console.url}/console/#/failures")
    await page.get_by_role("link", name="a.jpg").click()
    await expect(page.locator(".stage.loaded img")).to_be_visible()
    await page.get_by_label("Total", exact=True).fill("12,5")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("button", name="Approve")).to_be_hidden()
    found = await stored(console, f"{bucket}/{QUIET}")
    assert (found.status, found.corrections, found.receipt) == ("extracted", {"total": "12.5"}, None)


async def test_filters_show_the_matching_records(console: Console, browser: Browser) -> None:
    """Part of a name and a status filter the list, and clearing them shows all again."""
    shops = [record(number, said=receipt(number, merchant=Merchant(name=f"Shop {number}"))) for number in range(5)]
    await put(console.aws, [*shops, record(9, status="failed")])
    _, page, _ = await open_page(browser)
    await page.goto(console.url)
    await expect(page.locator("tbody tr")).to_have_count(6)
    await page.keyboard.press("/")
    await page.keyboard.type("op 3")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text("Shop 3")
    await page.get_by_role("button", name="Clear").click()
    await page.get_by_label("Status").select_option("failed")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def test_failures_are_read_again_by_one_button(console: Console, browser: Browser) -> None:
    """Failed uploads are replayed from their list and leave it once they succeed."""
    bucket = console.aws.resources.bucket
    made = []
    for number in range(3):
        answer = await console.aws.clients.s3.put_object(
            Bucket=bucket, Key=f"{OWN_PREFIX}{number}.jpg", Body=picture(number)
        )
        made.append(
            record(number, document=f"{bucket}/{OWN_PREFIX}{number}.jpg", status="failed").model_copy(
                update={"reason": "model_error", "etag": answer["ETag"].strip('"'), "version_id": answer["VersionId"]}
            )
        )
    await put(console.aws, made)
    _, page, _ = await open_page(browser)
    await page.goto(f"{console.url}/console/#/failures")
    await expect(page.locator("tbody tr")).to_have_count(3)
    await expect(page.locator("tbody")).to_contain_text("Model error")
    await picture_of(page, "6-failures")
    await page.get_by_role("button", name="Read all of these again").click()
    await expect(page.get_by_text("3 receipts will be read again.")).to_be_visible()
    await expect(page.get_by_text("No failures.")).to_be_visible(timeout=20_000)
    assert sum(console.endpoint.calls.values()) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_axe_finds_nothing(console: Console, browser: Browser, scheme: str, size: str) -> None:
    """axe finds no violation in any view, light or dark, wide or narrow, and no view scrolls sideways."""
    bucket = console.aws.resources.bucket
    await console.aws.clients.s3.put_object(Bucket=bucket, Key=QUIET, Body=picture(3, size=(300, 500)))
    await put(
        console.aws,
        [
            record(
                1, document=f"{bucket}/{QUIET}", status="needs_review", checks=(CHECK,), corrections={"total": "3.00"}
            ),
            record(2),
            record(3, status="failed"),
            record(4, status="rejected"),
        ],
    )
    viewport = {"width": 1360, "height": 880} if size == "desktop" else {"width": 390, "height": 844}
    _, page, errors = await open_page(browser, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, Any] = {}
    for view in ("", "review", "failures", "live", "receipt"):
        if view == "receipt":
            await page.goto(f"{console.url}/console/#/review")
            await page.get_by_role("link", name="Café Müller").click()
            await expect(page.locator(".stage.loaded img")).to_be_visible()
        else:
            await page.goto(f"{console.url}/console/#/{view}")
            await page.wait_for_timeout(800 if view != "live" else 2_500)
        await picture_of(page, f"{view or 'all'}-{size}-{scheme}")
        result = await Axe().run(page)
        for violation in result.response["violations"]:
            found[f"{view} {violation['id']}"] = [node["target"] for node in violation["nodes"]]
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (view, wide)
    assert found == {}
    assert errors == []


async def test_a_token_is_asked_for_and_kept_for_the_tab(
    console: Console, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page asks for the token, refuses a wrong one, and keeps the right one until the tab is closed."""
    from worker.console import auth

    monkeypatch.setattr(auth.Guard, "check", _guarded(auth.Guard(SecretStr("the-right-token-1").get_secret_value())))
    context, page, _ = await open_page(browser)
    await page.goto(console.url)
    for given in ("wrong", "the-right-token-1"):
        await page.locator("#token").fill(given)
        await page.get_by_role("button", name="Continue").click()
        if given == "wrong":
            await expect(page.get_by_text("The token is wrong.")).to_be_visible()
    await expect(page.get_by_text("No receipts yet.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("No receipts yet.")).to_be_visible()
    other = await context.new_page()
    await other.goto(console.url)
    await expect(other.locator("#token")).to_be_visible()


def _guarded(guard: Any) -> Any:
    check = type(guard).check
    return lambda _self, request: check(guard, request)
