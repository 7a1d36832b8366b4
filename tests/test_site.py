"""The documentation site: its menus, the pages that are generated from the code, and the check of a built site."""

import re
from pathlib import Path

import click
import pytest
from PIL import Image

from ccs_server.cli import main
from docs.site import check, conf, reference, screenshots

ROOT = Path(__file__).parents[1]


def pages() -> set[str]:
    """The pages of the site, as Sphinx names them."""
    files = {path for pattern in conf.include_patterns for path in ROOT.glob(pattern)}
    return {path.relative_to(ROOT).with_suffix("").as_posix() for path in files}


def test_every_page_is_in_one_menu() -> None:
    menus = [conf.menu(page, (ROOT / f"{page}.md").read_text()) for page in pages()]
    listed = sorted([conf.root_doc, *(page for menu in menus for page in menu)])
    assert listed == sorted(pages())


def test_the_reference_has_every_operation_with_what_it_takes_and_returns() -> None:
    page, document = reference.rest(), reference.openapi()
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:
            assert page.count(f"\n`{method.upper()} {path}`\n") == 1
            for parameter in item[method].get("parameters", []):
                assert f"| `{parameter['name']}` | {parameter['in']} |" in page
    for name in document["components"]["schemas"]:
        assert f"\n### {name}\n" in page


def test_the_reference_has_every_command_with_its_options() -> None:
    sections = dict(section.split("\n", 1) for section in reference.cli().split("\n\n## ")[1:])
    commands = dict(_commands(main, "ccs"))
    assert sections.keys() == commands.keys()
    for path, command in commands.items():
        for parameter in command.params:
            shown = [*parameter.opts[-1:], parameter.make_metavar(click.Context(command))]
            assert any(text in sections[path] for text in shown), (path, parameter)


def _commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found = [(f"{path} {name}", command) for name, command in group.commands.items()]
    below = [
        each
        for name, child in found
        if isinstance(child, click.Group)
        for each in _commands(child, name)
    ]
    return [*found, *below]


def test_the_reference_has_every_public_name_of_the_sdk() -> None:
    page = reference.sdk(["ccs_sdk", "ccs_sdk.errors"])
    assert (
        '<a href="../../python/ccs_sdk.html#ContextClient"><code>ContextClient</code></a>' in page
    )
    assert '"../../python/ccs_sdk/errors.html#LeasedError"' in page


def test_the_pictures_of_the_console_are_those_that_the_script_makes() -> None:
    shown = {
        name
        for page in pages()
        for name in re.findall(r"\(images/console/([^)]+)\)", (ROOT / f"{page}.md").read_text())
    }
    files = list(screenshots.FOLDER.iterdir())
    assert shown == screenshots.names() == {file.name for file in files}
    for file in files:
        with Image.open(file) as picture:
            assert picture.size == screenshots.pixels(file.stem)
        assert file.stat().st_size < 150_000


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="gone.html">', "gone.html leads to no file"),
        ('<a href="../">', "../ leads to no file"),
        ('<a href="other.html#gone">', "other.html#gone leads to no anchor"),
        ('<a href="#gone">', "#gone leads to no anchor"),
        ('<img src="//cdn.example.com/a.png">', "loads //cdn.example.com/a.png from elsewhere"),
        (
            '<img srcset="https://a.example/b.png 2x">',
            "loads https://a.example/b.png from elsewhere",
        ),
        ('<script src="https://a.example/b.js">', "loads https://a.example/b.js from elsewhere"),
        (
            '<link rel="preload stylesheet" href="https://a.example/b">',
            "loads https://a.example/b from elsewhere",
        ),
        (
            "<style>@import 'https://a.example/b'</style>",
            "loads @import 'https://a.example/b from elsewhere",
        ),
        (
            "<p style=\"background: url('//a.example/b')\">",
            "loads url('//a.example/b from elsewhere",
        ),
    ],
)
def test_a_page_that_leads_nowhere_or_loads_from_elsewhere_is_found(
    html: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "other.html").write_text("<h1 id=here>")
    (tmp_path / "page.html").write_text(html)
    assert list(check.problems(tmp_path)) == [f"page.html: {problem}"]
    with pytest.raises(SystemExit):
        check.main(tmp_path)


def test_a_page_may_link_anywhere_and_load_what_the_site_has(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "index.html").write_text("<h1 id='größe'>")
    (tmp_path / "style.css").write_text(
        "p { background: url(data:image/png;base64,AA) url(a.png) }"
    )
    (tmp_path / "page.html").write_text(
        '<link rel="stylesheet" href="style.css?v=1"><link rel="canonical" href="https://a.example/">'
        '<a href="https://a.example/">out</a><a href="a%20folder/#gr%C3%B6%C3%9Fe">in</a><a href="mailto:a@b.example">'
    )
    assert list(check.problems(tmp_path)) == []
