"""Markdown of the reference pages that the site generates from the code: REST, the command line, the SDK."""

import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import Any

import click
from click.testing import CliRunner

from ccs_server.cli import main

Json = dict[str, Any]


def openapi() -> Json:
    """The OpenAPI document, as `ccs openapi` prints it."""
    printed = CliRunner(catch_exceptions=False).invoke(main, ["openapi"]).output
    document: Json = json.loads(printed)
    return document


def rest() -> str:
    """What authenticates, every operation of the OpenAPI document by tag, and the schemas that they refer to."""
    document = openapi()
    schemes = [
        (f"`{name}`", f"`{scheme.get('name') or 'Authorization'}`", scheme["description"])
        for name, scheme in document["components"]["securitySchemes"].items()
    ]
    authentication = _table(("called", "sent as", "what it is"), schemes)
    sections = chain.from_iterable(_tag(document, tag) for tag in document["tags"])
    schemas = chain.from_iterable(
        (f"### {name}", _code(schema)) for name, schema in document["components"]["schemas"].items()
    )
    return "\n\n".join(["## Authentication", authentication, *sections, "## Schemas", *schemas])


def _tag(document: Json, tag: Json) -> Iterator[str]:
    yield f"## {tag['name']}"
    yield tag["description"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters" and tag["name"] in operation["tags"]:
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                yield from _operation(document, f"{method.upper()} {path}", parameters, operation)


def _operation(
    document: Json, request: str, parameters: list[Json], operation: Json
) -> Iterator[str]:
    yield f"### {operation['summary'].rstrip('.')}"
    yield f"`{request}`"
    yield operation.get("description", "")
    if schemes := [f"`{name}`" for each in operation.get("security", []) for name in each]:
        yield f"[Authentication](#authentication): {' or '.join(schemes)}."
    if parameters:
        rows = [
            (f"`{each['name']}`", each["in"], each.get("description", "")) for each in parameters
        ]
        yield _table(("parameter", "in", "meaning"), rows)
    if body := operation.get("requestBody"):
        yield from _content("Body", body["content"])
    responses = {
        status: _resolved(document, given) for status, given in operation["responses"].items()
    }
    meanings = ((status, response["description"]) for status, response in responses.items())
    yield _table(("status", "meaning"), meanings)
    for status, response in responses.items():
        if status.startswith("2"):
            yield from _content(f"Body of {status}", response.get("content", {}))


def _content(title: str, content: Json) -> Iterator[str]:
    for media_type, media in content.items():
        schema = media["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        link = f": [{name}](#{name.lower()})" if name else ""
        yield f"{title}, `{media_type}`{link}"
        examples = [example["value"] for example in media.get("examples", {}).values()]
        yield from map(_code, [*examples, *([media["example"]] if "example" in media else [])])
        if not name:
            yield f"<details><summary>Schema</summary>\n\n{_code(schema)}\n\n</details>"


def _resolved(document: Json, given: Json) -> Json:
    name = given.get("$ref", "").rpartition("/")[2]
    return document["components"]["responses"][name] if name else given


def cli() -> str:
    """Every command of `ccs`, with its arguments and options."""
    return "\n\n".join(_command(main, click.Context(main, info_name="ccs")))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    if context.parent:
        yield f"## {context.command_path}"
    yield inspect.cleandoc(command.help or "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if child := command.get_command(context, name):
                yield from _command(child, click.Context(child, info_name=name, parent=context))
        return
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    records = [
        parameter.get_help_record(context)
        for parameter in command.params
        if isinstance(parameter, click.Option)
    ]
    rows = [(f"`{option}`", meaning) for option, meaning in filter(None, records)]
    yield _table(("option", "meaning"), rows)


MODULES = (
    "ccs_sdk",
    "ccs_sdk.aio",
    "ccs_sdk.errors",
    "ccs_sdk.testing",
    "ccs_sdk.adapters.botbuilder",
    "ccs_sdk.adapters.cachelib",
    "ccs_sdk.adapters.langgraph",
)
"""What pdoc generates pages for, in the folder `python/` of the site."""


def sdk(modules: Sequence[str] = MODULES) -> str:
    """The public names of modules, each with a link to its page by pdoc."""
    return "\n\n".join(chain.from_iterable(map(_module, modules)))


def _module(name: str) -> Iterator[str]:
    module = import_module(name)
    page = f"../../python/{name.replace('.', '/')}.html"
    yield f"## {name}"
    yield _first_line(module)
    rows = [
        (
            f'<a href="{page}#{public}"><code>{public}</code></a>',
            _first_line(getattr(module, public)),
        )
        for public in _public(module)
    ]
    yield _table(("name", "what it is"), rows)


def _public(module: ModuleType) -> list[str]:
    if exported := getattr(module, "__all__", None):
        return sorted(exported)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def _first_line(value: object) -> str:
    """The first line of the docstring of what has one of its own; constants do not."""
    own = inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value)
    return (inspect.getdoc(value) or "").partition("\n")[0] if own else ""


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in cells)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(value: object) -> str:
    """A block of code: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return f"```text\n{value.rstrip()}\n```"
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"
