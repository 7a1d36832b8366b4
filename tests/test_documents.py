"""The Markdown documents name only files and sections that exist."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATED = {"build", "dist"}
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(
        path
        for folder in ("benchmarks", "docs", "requirements", "sdk", "server")
        for path in (ROOT / folder).rglob("*.md")
    ),
]

_FENCE = re.compile(r"^```.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_READERS_FILE = re.compile(r"^Save this as `([\w.]+)`:$", re.MULTILINE)
_WORDS = re.compile(r"[\s,;()]+")
_PATH = re.compile(r"(?:\./)?\.?\w[\w.-]*(?:/[\w.-]+)*/?")


@cache
def repository() -> frozenset[str]:
    """Every file and folder, relative to the root; folders end with a slash."""
    top = [path for path in ROOT.iterdir() if path.name not in GENERATED]
    visible = [path for path in top if not path.name.startswith(".") or path.name == ".ci"]
    inside = [path for folder in visible if folder.is_dir() for path in folder.rglob("*")]
    paths = [path for path in [*visible, *inside] if "__pycache__" not in path.parts]
    return frozenset(
        path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else "") for path in paths
    )


@cache
def folders() -> frozenset[str]:
    return frozenset(path.split("/")[-2] for path in repository() if path.endswith("/"))


@cache
def suffixes() -> frozenset[str]:
    """File name extensions of the repository, such as `.py`."""
    return frozenset(Path(path).suffix for path in repository() if path[-1] != "/") - {""}


def looks_like_a_path(word: str) -> bool:
    """Whether `word` can only be meant as a file or folder of this repository.

    URL paths start with a slash and placeholders contain `{`, `<`, `*` or `…`: none of them matches.
    """
    if not _PATH.fullmatch(word):
        return False
    first, slash, _ = word.removeprefix("./").partition("/")
    if slash and first in folders():
        return True
    return Path(word).suffix in suffixes() and first not in GENERATED


def exists(word: str, document: Path) -> bool:
    """Whether `word` is a path from the root or from the document's folder, or the end of a path.

    So a document about the server may write `store/reading.py`.
    """
    path = word.removeprefix("./").rstrip("/")
    if (ROOT / path).exists() or (document.parent / path).exists():
        return True
    return any(f"/{known.rstrip('/')}".endswith(f"/{path}") for known in repository())


def named_paths(text: str) -> Iterator[str]:
    """The paths in code spans and code blocks."""
    prose = _FENCE.sub("", text)
    for code in [*_FENCE.findall(text), *_CODE.findall(prose)]:
        for word in _WORDS.split(code):
            path = word.partition("::")[0].rstrip(".:")
            if looks_like_a_path(path):
                yield path


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub forms them."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text()))
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


documents = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)


@documents
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    named = set(named_paths(text)) - set(_READERS_FILE.findall(text))
    missing = {path for path in named if not exists(path, document)}
    assert not missing, f"{document.relative_to(ROOT)} names paths that do not exist: {missing}"


@documents
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in _LINK.findall(document.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), (
            f"{document.relative_to(ROOT)} links to {link}: there is no such file."
        )
        if anchor:
            assert anchor in anchors(target), (
                f"{document.relative_to(ROOT)} links to {link}: there is no such heading."
            )


@pytest.mark.parametrize(
    "word",
    ["CONTRIBUTING.md", "store/reading.py", "tests/trust/", "test_crash.py", "gone/away.py"],
)
def test_paths_of_the_repository_are_recognised(word: str) -> None:
    assert looks_like_a_path(word)


@pytest.mark.parametrize(
    "word",
    [
        "/docs",
        "/v1/account/demo",
        "/{ns}/properties",
        "…/properties/image/png",
        "image/png",
        "application/json",
        "build/docs/sdk/",
        "dist/ccs_sdk-*.whl",
        "postgres/postgresql.conf",
        "postmaster.pid",
        "ccs_sdk.errors",
        "https://example.com/a.py",
        "5000/minute",
    ],
)
def test_url_paths_and_placeholders_are_not_taken_for_paths(word: str) -> None:
    assert not looks_like_a_path(word)
