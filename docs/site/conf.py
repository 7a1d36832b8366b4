"""Settings of the documentation site: the Markdown of the repository, as `nox -s docs` builds it with Sphinx.

The source directory is the root of the repository, so links work in the site as they do on a forge. A section's menu
is made of the links of its first page, in their order.
"""

import re
import shutil
import sys
import warnings
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

import pdoc

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import reference  # noqa: E402 - from the root

project = "Conversation Context Service"
html_title = project
language = "en"

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "docs/*.md",
    "docs/**/*.md",
]
exclude_patterns = [".*", "build", "dist"]
myst_heading_anchors = 6

html_theme = "pydata_sphinx_theme"
html_css_files = ["site.css"]
html_static_path = ["static"]
html_context = {"default_mode": "auto"}  # dark where the reader's system is
html_copy_source = False
# The site works from a folder, too, where browsers do not let a page fetch the others.
html_show_search_summary = False
html_show_copyright = False
html_theme_options = {
    "logo": {"text": "CCS"},  # leaves room for the search on a phone
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}
html_sidebars: dict[str, list[str]] = {root_doc: [], "docs/tutorial": []}

GENERATED = {
    "docs/site/rest": reference.rest,
    "docs/site/cli": reference.cli,
    "docs/site/sdk": reference.sdk,
}

SECTIONS: dict[str, str | None] = {
    "docs/tutorial": None,
    "docs/sdk/README": "docs/sdk/",
    "docs/operate/README": "docs/operate/",
    "docs/site/reference": "",
    "docs/site/explanation": "",
    "CONTRIBUTING": "",
}
"""The first page of each section, and the folder of its other pages: empty if they have none to themselves, None if it
has no other pages."""

_LINK = re.compile(r"\]\(([^)#\s:]+)\.md[)#]")


def linked(docname: str, text: str) -> list[str]:
    """The pages that a page links to, in the order of the first links."""
    targets = (normpath(join(dirname(docname), target)) for target in _LINK.findall(text))
    return list(dict.fromkeys(targets))


def menu(docname: str, text: str) -> list[str]:
    """The pages that the menu lists below this one."""
    if docname == root_doc:
        return list(SECTIONS)
    if docname not in SECTIONS:
        return []
    pages = [page for page in linked(docname, text) if page not in {root_doc, *SECTIONS}]
    return [page for page in pages if folder(page) == SECTIONS[docname]]


def folder(page: str) -> str:
    """The folder of the section that has this page, if it is one whose pages are in a folder."""
    return next((each for each in SECTIONS.values() if each and page.startswith(each)), "")


def add_generated(_: "Sphinx", docname: str, source: list[str]) -> None:
    """Adds to a page what is generated from the code, and the menu."""
    if pages := menu(docname, source[0]):
        entries = "\n".join(f"/{page}" for page in pages)
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"
    if generate := GENERATED.get(docname):
        source[0] += f"\n\n{generate()}"


def finish(app: "Sphinx", error: Exception | None) -> None:
    """Adds pdoc's pages of the SDK, and makes the address of a folder show its README, as on a forge."""
    if error is None:
        site = Path(app.outdir)
        pdoc.render.configure(docformat="google", template_directory=Path(__file__).parent / "pdoc")
        # The annotation of `on_lost` names a class of a module that cannot be imported there, so its name is no link.
        warnings.filterwarnings("ignore", "Error parsing type annotation .*Import of (Async)?Turn")
        pdoc.pdoc(*reference.MODULES, output_directory=site / "python")
        for page in site.rglob("README.html"):
            shutil.copy(page, page.with_name("index.html"))


def setup(app: "Sphinx") -> None:
    """Registers the functions above."""
    app.connect("source-read", add_generated)
    app.connect("build-finished", finish)
