"""Checks a built site: its links lead somewhere, and its pages load nothing from elsewhere.

`python docs/site/check.py build/site` prints what is wrong, one line each, and then fails.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING_RELATIONS = {"icon", "manifest", "modulepreload", "preload", "prefetch", "stylesheet"}
"""The relations of `<link>` whose target a browser loads."""

_STYLE_URL = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^"')\s]+""")


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    links: set[str] = field(default_factory=set)
    loads: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sorts the addresses of a tag into those that are followed and those that are loaded."""
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag in {"a", "area"}:
            self.links |= {given["href"]} if "href" in given else set()
            return
        if tag == "link" and not LOADING_RELATIONS & set(given.get("rel", "").split()):
            return
        self.loads |= {
            given[name] for name in ("src", "href", "data", "poster", "action") if name in given
        }
        for candidate in given.get("srcset", "").split(","):
            self.loads |= set(candidate.split()[:1])


def problems(site: Path) -> Iterator[str]:
    """One line for each link that leads nowhere, and for each file that a page would load from elsewhere."""
    templates = site / "_static"  # of the theme
    pages = {path: _parsed(path) for path in site.rglob("*.html") if path.parent != templates}
    for path, page in sorted(pages.items()):
        for address in sorted(page.links | page.loads):
            if problem := _problem(site, pages, path, address, is_loaded=address in page.loads):
                yield f"{path.relative_to(site)}: {problem}"
    for path in sorted([*pages, *site.rglob("*.css")]):
        for found in _STYLE_URL.findall(path.read_text()):
            yield f"{path.relative_to(site)}: loads {found} from elsewhere"


def _parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page


def _problem(
    site: Path, pages: dict[Path, Page], path: Path, address: str, *, is_loaded: bool
) -> str | None:
    url = urlsplit(address)
    if url.scheme == "data":
        return None
    if url.scheme or url.netloc:
        return f"loads {address} from elsewhere" if is_loaded else None
    target = (path.parent / unquote(url.path)).resolve() if url.path else path
    if target.is_dir():
        target /= "index.html"
    if not (target.exists() and target.is_relative_to(site)):
        return f"{address} leads to no file"
    if target in pages and url.fragment and unquote(url.fragment) not in pages[target].anchors:
        return f"{address} leads to no anchor"
    return None


def main(site: Path) -> None:
    """Prints the problems of a site.

    Raises:
        SystemExit: it has some.
    """
    found = list(problems(site.resolve()))
    print(
        "\n".join(found)
        or "The site's links lead to what exists, and its pages load nothing from elsewhere."
    )
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
