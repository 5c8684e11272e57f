"""The tables of inputs and outputs in the READMEs of roots and modules."""

import importlib.util
from types import ModuleType

import pytest

from tests.infra.offline import INFRA


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs", INFRA / "docs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_readme_has_the_inputs_and_outputs_of_its_folder(docs: ModuleType) -> None:
    """Expect `python infra/docs.py` to change nothing."""
    folders = docs.folders()
    assert {"express", "custom", "intake", "worker"} <= {folder.name for folder in folders}
    for folder in folders:
        readme = (folder / "README.md").read_text()
        assert docs.fill(readme, docs.tables(folder)) == readme, "run: .venv/bin/python infra/docs.py"


def test_each_variable_and_output_is_described(docs: ModuleType) -> None:
    """Expect a type and a description of every variable, and a description of every output."""
    for folder in docs.folders():
        for kind, needed in (("variable", {"type", "description"}), ("output", {"value", "description"})):
            text = (folder / f"{kind}s.tf").read_text()
            blocks = list(docs.blocks(text, kind))
            assert len(blocks) == text.count(f'\n{kind} "') + text.startswith(f'{kind} "')
            for block in blocks:
                assert needed <= block.attributes.keys(), f"{folder.name}: {block.name}"
                assert len(block.description) > 5, f"{folder.name}: {block.name}"
