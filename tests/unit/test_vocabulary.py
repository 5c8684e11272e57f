"""The English of the project: phrases that are hard to read do not come back. The rules are in CONTRIBUTING.md."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
BANNED: Final = {
    r"(?<!here )\b(?:is|are|was|were) no (?!longer\b|(?:more|less|later|larger|smaller) than\b)\w+": "negate the verb",
    r"\banew\b": "again, or from scratch",
    r"\bso long\b(?! as)": "name the time",
    r"\bof late\b": "recently",
    r"\bdear\b": "expensive",
    r"\bwitness(?:es)?\b": "health probe",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\bforebode\w*\b": "record as unfinished",
    r"\bwho(?:m)?ever\b": "name the person or process",
    r"\bsomebody\b|\bnobody\b": "name the person or process: another worker, no caller",
    r"\bfor ever\b": "until it is cancelled",
    r"\bof its own\b(?= accord)": "by itself",
    r"\b[Tt]ake note\b": "record",
    r"\bhold(?:s)? good\b": "is valid",
    r"\bas it stands\b|\bas they stand\b": "as it is",
    r"\b(?:he|him|his|himself)\b": "a process or a reader is 'it' or 'they'",
    r"\bblueprint\w*\b": "resources",
    r"\bpoison(?:ous)?\b": "a receipt that always fails",
    r"\bwell\b(?=[.,;:]?$)": "healthy",
    r"\bunwell\b": "unhealthy, unavailable",
    r"\bletters?\b(?= (?:about|for the dead))": "dead-letter entry",
    r"\bwhat is no\b|\bthat is no\b|\bwhich is no\b": "'that is not a …'",
    r"\bthan that\b(?= which)": "name it",
    r"\bin its stead\b|\bin his stead\b": "instead",
    r"\blest\b|\bnaught\b|\bthereof\b|\bthereby\b": "plain words",
}
"""Regular expressions, each with what to write instead. They apply to one line of text at a time."""
DOCSTRING_STARTS: Final = re.compile(r'^\s*"""(?:What|That which|Who|Whose|Whether it is) ')
"""A docstring names its subject: 'The policy of …', not 'What … keeps to'."""
SUFFIXES: Final = {".py", ".md", ".tf", ".hcl", ".js", ".html", ".sh", ".yaml", ".yml", ".cfg", ".toml", ".Dockerfile"}
EXEMPT: Final = {"tests/unit/test_vocabulary.py", "CODE_OF_CONDUCT.md"}
DATA: Final = ("requirements/", "worker/reader/data/", "worker/workbench/local/samples/")
"""Words printed on receipts, and lock files."""


def texts() -> Iterator[tuple[str, int, str]]:
    """Yield path, line number and line of each text that people read."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for name in listed:
        path = ROOT / name
        if name in EXEMPT or name.startswith(DATA) or not path.is_file():
            continue
        if path.suffix in SUFFIXES or path.name == "Makefile":
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                yield name, number, line


def test_no_text_uses_a_banned_phrase() -> None:
    """Docstrings, comments, messages, pages and documents use plain technical English."""
    rules = [(re.compile(pattern), instead) for pattern, instead in BANNED.items()]
    found = [
        f"{name}:{number}: {match.group(0)!r}: {instead}"
        for name, number, line in texts()
        for rule, instead in rules
        if (match := rule.search(line))
    ]
    assert found == []


def test_a_docstring_names_its_subject() -> None:
    """No docstring starts with a clause in place of a subject."""
    found = [f"{name}:{number}: {line.strip()}" for name, number, line in texts() if DOCSTRING_STARTS.match(line)]
    assert found == []
