"""Write the tables of inputs and outputs into the README of each root and module.

    .venv/bin/python infra/docs.py            write them
    .venv/bin/python infra/docs.py --check    name the files that are out of date, and end with 1

The tables come from variables.tf and outputs.tf. The parser relies on the format of `terraform fmt`, which tests/infra
checks: a block starts and ends in the first column, its attributes are indented by two spaces.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BEGIN, END = "<!-- inputs and outputs: infra/docs.py writes this -->", "<!-- end -->"
LONG = 60
"""A type or default longer than this is shown below the table, as a block."""


@dataclass(frozen=True)
class Block:
    """A variable or an output: its name and its attributes, as they are written."""

    name: str
    attributes: dict[str, str]

    @property
    def description(self) -> str:
        """Return the description as one line of Markdown, without its quotes or heredoc."""
        text = self.attributes.get("description", '""')
        if text.startswith("<<"):
            lines = [line.strip() for line in text.splitlines()[1:-1]]
            text = " ".join(line.replace("- ", "<br>• ", 1) if line.startswith("- ") else line for line in lines)
        else:
            text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        return text.replace("|", "\\|")


def main() -> None:
    """Write the tables, or with --check compare them."""
    stale = []
    for folder in folders():
        readme = folder / "README.md"
        old = readme.read_text("utf-8")
        new = fill(old, tables(folder))
        if new != old:
            stale.append(str(readme.relative_to(HERE.parent)))
            if "--check" not in sys.argv[1:]:
                readme.write_text(new, "utf-8")
    if stale and "--check" in sys.argv[1:]:
        sys.exit(f"Out of date: {', '.join(stale)}. Run: .venv/bin/python infra/docs.py")


def folders() -> list[Path]:
    """Return the roots and modules: every folder with variables.tf, except examples."""
    return sorted(
        path.parent for path in HERE.glob("**/variables.tf") if not {"examples", ".terraform"} & set(path.parts)
    )


def tables(folder: Path) -> str:
    """Return the Markdown of the inputs and outputs of `folder`."""
    inputs = list(blocks((folder / "variables.tf").read_text("utf-8"), "variable"))
    outputs = list(blocks((folder / "outputs.tf").read_text("utf-8"), "output"))
    # Inputs without a default come first: they must be given.
    inputs.sort(key=lambda block: "default" in block.attributes)
    lines = ["## Inputs", "", "| input | type | default | description |", "|---|---|---|---|"]
    lines += [
        f"| `{one.name}` | {_cell(one, 'type')} | {_cell(one, 'default', missing='required')} | {one.description} |"
        for one in inputs
    ]
    for one in inputs:
        for attribute in ("type", "default"):
            value = one.attributes.get(attribute, "")
            if _is_long(value):
                lines += ["", f"The {attribute} of `{one.name}`:", "", "```hcl", _dedented(value), "```"]
    lines += ["", "## Outputs", "", "| output | description |", "|---|---|"]
    lines += [f"| `{one.name}` | {one.description} |" for one in outputs]
    return "\n".join(lines)


def blocks(text: str, kind: str) -> Iterator[Block]:
    """Yield the blocks of `kind` in the text of a formatted file."""
    for name, body in re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', text, re.DOTALL | re.MULTILINE):
        # An attribute lasts until the next line that is indented by exactly two spaces and starts one, or a block.
        parts = re.split(r"^  (?=\w+ *[={])", body, flags=re.MULTILINE)
        found = (re.fullmatch(r"(\w+) *= (.*)", part.rstrip(), re.DOTALL) for part in parts)
        yield Block(name, {match[1]: match[2].strip() for match in found if match})


def fill(document: str, text: str) -> str:
    """Return `document` with `text` in its place, which is added at the end if it is missing."""
    if BEGIN not in document:
        document = f"{document.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _cell(block: Block, attribute: str, *, missing: str = "") -> str:
    if attribute not in block.attributes:
        return missing
    value = block.attributes[attribute]
    return "below" if _is_long(value) else f"`{value}`".replace("|", "\\|")


def _is_long(value: str) -> bool:
    return "\n" in value or len(value) > LONG


def _dedented(value: str) -> str:
    return re.sub(r"^  ", "", value, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
