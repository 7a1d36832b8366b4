"""Every Python example of the guide and the READMEs runs, and prints the output that the page shows."""

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ccs_sdk
from ccs_sdk import ContextClient, DocumentClient, errors
from tests.support.service import Account

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "sdk" / "README.md",
    ROOT / "docs" / "time-to-live.md",
    *sorted((ROOT / "docs" / "sdk").glob("*.md")),
]

FOR_ADMINS = {
    "erase-a-person.md",
    "find-open-conversations.md",
    "follow-changes.md",
    "mirror-in-sqlite.md",
    "receive-webhooks.md",
}
"""Pages that need a key of the scope `admin`."""

_EXAMPLE = re.compile(r"^```python\n(.*?)^```(?:\n+^```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)


class Example(NamedTuple):
    """A block of Python, the number of lines before it, and its output if the page shows it."""

    line: int
    code: str
    output: str | None


def examples(page: Path) -> Iterator[Example]:
    text = page.read_text()
    for match in _EXAMPLE.finditer(text):
        yield Example(text.count("\n", 0, match.start(1)), match[1], match[2])


def settings(account: Account) -> dict[str, str]:
    """Returns the environment variables that the pages tell their readers to set."""
    return {
        "CCS_URL": account.server_url,
        "CCS_ACCOUNT": account.id,
        "CCS_API_KEY": account.key,
        "CCS_USERNAME": account.username,
        "CCS_PASSWORD": account.password,
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_print_the_output_that_it_shows(
    page: Path,
    account: Account,
    admins: Account,
    monkeypatch: pytest.MonkeyPatch,
    testing_directory: Path,
) -> None:
    monkeypatch.setenv("CCS_TESTING_DIR", str(testing_directory))
    for name, value in settings(admins if page.name in FOR_ADMINS else account).items():
        monkeypatch.setenv(name, value)
    variables: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page):
        # Blank lines in front, so that line numbers in failures are those of the page.
        code = compile("\n" * example.line + example.code, page, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, variables)  # noqa: S102 - runs the example
        if example.output is not None:
            assert printed.getvalue() == example.output
    for variable in variables.values():
        if isinstance(variable, ContextClient | DocumentClient):
            variable.close()


def test_the_reference_is_generated_from_the_docstrings(tmp_path: Path) -> None:
    generated = subprocess.run(
        [
            *[sys.executable, "-m", "pdoc", "--docformat", "google"],
            *["--no-show-source", "--no-search"],  # which take half of the time
            *["--output-directory", str(tmp_path), "ccs_sdk", "ccs_sdk.aio", "ccs_sdk.errors"],
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert generated.stderr == ""
    reference = (tmp_path / "ccs_sdk.html").read_text()
    for name in ccs_sdk.__all__:
        assert f'id="{name}"' in reference
    assert "TransportError" in (tmp_path / "ccs_sdk" / "errors.html").read_text()


def test_every_page_has_examples() -> None:
    assert len(PAGES) >= 8
    for page in PAGES[1:]:
        assert list(examples(page)), page


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_begins_with_a_sentence(page: Path) -> None:
    title, first = page.read_text().split("\n\n")[:2]
    assert title.startswith("# ")
    assert first[0].isalpha() or first[0] == "`", f"{page.name} begins with {first[:20]!r}"


def test_the_example_of_the_readme_has_under_ten_lines() -> None:
    (first,) = examples(ROOT / "sdk" / "README.md")
    assert len(first.code.splitlines()) < 10


def test_the_error_tree_in_the_guide_is_that_of_the_docstring() -> None:
    page = (ROOT / "docs" / "sdk" / "errors-and-retries.md").read_text()
    guide = re.search(r"^CCSError\n.*?(?=^```)", page, re.DOTALL | re.MULTILINE)
    drawn = (errors.__doc__ or "").split("```")[1].splitlines()[1:]
    assert guide
    for in_guide, in_docstring in zip(guide[0].splitlines(), drawn, strict=True):
        assert in_docstring.startswith(in_guide)
