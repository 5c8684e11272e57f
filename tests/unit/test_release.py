"""A release: one version number, and `make release`, which refuses what is not ready."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def metadata() -> configparser.SectionProxy:
    """Return the section [metadata] of setup.cfg."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config["metadata"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with this Makefile, ready to be released as 1.2.3."""
    for name in ("Makefile", "pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = small\nversion = 1.2.3\n\n[options]\npackages = worker\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 - 2026-11-25\n\nThe first.\n")
    for name in ("worker/__init__.py", "requirements/run.lock"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (binaries / "python").chmod(0o755)
    (tmp_path / ".venv" / ".run").touch()
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(project: Path, *arguments: str) -> str:
    names = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *names, *arguments], cwd=project, check=True, capture_output=True, text=True).stdout


def commit(project: Path) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "change")


def release(project: Path) -> tuple[int, str]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    done = subprocess.run(
        ["make", "release"], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def test_a_release_is_built_and_tagged(project: Path) -> None:
    """A clean tree with an entry in the changelog gives an sdist, a wheel and a tag."""
    code, said = release(project)
    assert code == 0, said
    assert {path.name for path in (project / "dist").iterdir()} == {
        "small-1.2.3.tar.gz",
        "small-1.2.3-py3-none-any.whl",
    }
    assert git(project, "tag").split() == ["v1.2.3"]


def test_a_tree_with_changes_is_refused(project: Path) -> None:
    """A file that is not committed stops the release: a tag names what was built."""
    (project / "worker" / "new.py").touch()
    code, said = release(project)
    assert code != 0
    assert "not committed" in said
    assert not (project / "dist").exists()


def test_a_changelog_without_the_version_is_refused(project: Path) -> None:
    """The version needs a dated section."""
    (project / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 1.2.30 - 2026-11-25\n")
    commit(project)
    code, said = release(project)
    assert code != 0
    assert "no section '## 1.2.3 - YYYY-MM-DD'" in said
    assert not (project / "dist").exists()


def test_a_tag_that_exists_is_refused(project: Path) -> None:
    """A version is released once."""
    git(project, "tag", "v1.2.3")
    code, said = release(project)
    assert code != 0
    assert "the tag v1.2.3 exists" in said


def test_the_version_is_written_once() -> None:
    """Only setup.cfg has the version; the images get it from the Makefile."""
    version = metadata()["version"]
    literal = re.compile(rf"version\W{{1,4}}{re.escape(version)}\b", re.IGNORECASE)
    listed = ("pyproject.toml", "Makefile", "worker/__init__.py", "docker/compose.yaml")
    files = [ROOT / name for name in listed] + sorted((ROOT / "docker").glob("*.Dockerfile"))
    assert [path.name for path in files if literal.search(path.read_text("utf-8"))] == []
    assert "--build-arg VERSION=$(VERSION)" in (ROOT / "Makefile").read_text()
    for path in (ROOT / "docker").glob("*.Dockerfile"):
        assert "ARG VERSION=unknown" in path.read_text()


def test_ci_runs_the_pythons_that_the_classifiers_name() -> None:
    """The matrix of `make check` has every supported Python."""
    workflow: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    supported = re.findall(r"Python :: (3\.\d+)", metadata()["classifiers"])
    assert workflow["jobs"]["check"]["strategy"]["matrix"]["python"] == supported
    runs = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    for command in ("make check", ".ci/images", "make infra"):
        assert any(command in line for line in runs), command


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_a_github_file_is_yaml(path: Path) -> None:
    """GitHub can read every workflow and form; a form has a name, a description and a body."""
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    if path.parent.name == "ISSUE_TEMPLATE" and path.name != "config.yml":
        assert {"name", "description", "body"} <= loaded.keys()


def test_a_hook_runs_a_tool_of_the_environment() -> None:
    """Each pre-commit hook uses .venv, so that versions are those of the lock file."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {hook["entry"].split()[0] for hook in hooks} == {
        f".venv/bin/{tool}" for tool in ("ruff", "lint-imports", "mypy")
    }
