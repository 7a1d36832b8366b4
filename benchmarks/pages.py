"""Reads the commands and files of a page of the documentation, so that what runs is what the page says."""

import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def blocks(
    page: Path, heading: str, replacements: Mapping[str, str], *, language: str = "sh"
) -> list[str]:
    """Returns the code blocks of a section.

    Args:
        page: The page.
        heading: The heading of the section, with its number signs.
        replacements: Names and paths of the page, with what they are here. Each must occur in the section.
        language: The language of the blocks.
    """
    _, found, rest = f"\n{page.read_text()}".partition(f"\n{heading}\n")
    assert found, f"{page.name} has no section {heading!r}"
    section = re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    for old in replacements:
        assert old in section, f"{heading!r} of {page.name} does not contain {old!r}"
    found_blocks = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [replaced(block, replacements) for block in found_blocks]


def replaced(text: str, replacements: Mapping[str, str]) -> str:
    """Returns a text with names and paths replaced."""
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text
