"""The documents: links lead somewhere, the index has every document, and each decision has the same parts."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", ".github/*.md", "docs/**/*.md", "infra/**/*.md", "docker/*.md")
    for path in ROOT.glob(pattern)
    if ".terraform" not in path.parts
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def headings(document: Path) -> set[str]:
    """Return the anchors of `document`, as GitHub forms them."""
    found = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(document: Path) -> None:
    """A relative link names a file or folder that exists, and a heading that it has."""
    broken = []
    for link, anchor in LINK.findall(document.read_text("utf-8")):
        if "://" in link:
            continue
        target = (document.parent / link).resolve() if link else document
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(f"{link}#{anchor}")
    assert broken == []


def test_the_index_has_every_document() -> None:
    """docs/README.md links each document of docs/."""
    index = (ROOT / "docs/README.md").read_text()
    assert [
        path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md" and path.name not in index
    ] == []


@pytest.mark.parametrize("decision", sorted((ROOT / "docs/decisions").glob("0*.md")), ids=lambda path: path.stem)
def test_a_decision_is_one_page(decision: Path) -> None:
    """A decision has its four parts, fits a page, and is in the list."""
    text = decision.read_text()
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives",
    ]
    assert len(text.split()) <= 400
    assert f"({decision.name})" in (ROOT / "docs/decisions/README.md").read_text()
