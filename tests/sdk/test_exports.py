"""The public names of the package. Adding or removing one requires a change here."""

import inspect
from collections.abc import Iterator
from typing import get_type_hints

import pytest

import ccs_sdk
from ccs_sdk import errors, models

PUBLIC_MODULES = {
    *{"batches", "client", "documents", "errors", "handles", "jobs", "keys", "leases", "models"},
    *{"properties", "scopes", "webhooks"},
}


def test_dunder_all_lists_every_public_name() -> None:
    public = {
        name
        for name, member in vars(ccs_sdk).items()
        if not name.startswith("_") and not inspect.ismodule(member)
    }
    assert set(ccs_sdk.__all__) == public | {"__version__"}


def test_the_public_modules_are_these() -> None:
    modules = {name for name, member in vars(ccs_sdk).items() if inspect.ismodule(member)}
    imported_by_others = {"adapters", "aio", "testing"}
    public = {name for name in modules if not name.startswith("_")}
    assert public - imported_by_others == PUBLIC_MODULES


@pytest.mark.parametrize("module", [errors, models])
def test_every_error_and_model_is_exported(module: object) -> None:
    defined = {
        name
        for name, member in vars(module).items()
        if inspect.isclass(member) and member.__module__ == getattr(module, "__name__")  # noqa: B009
    }
    assert defined <= set(ccs_sdk.__all__)


def _parents_in_docstring() -> dict[str, str]:
    """Returns the error classes in the tree of the docstring, each with its parent."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").split("```")[1].splitlines()[1:]:
        name = line.lstrip(" │├└─").split()[0]
        while above and above[-1][0] >= line.index(name):
            above.pop()
        parents[name] = above[-1][1] if above else "Exception"
        above.append((line.index(name), name))
    return parents


def test_the_tree_in_the_docstring_is_the_class_hierarchy() -> None:
    assert _parents_in_docstring() == {
        name: member.__bases__[0].__name__
        for name, member in vars(errors).items()
        if inspect.isclass(member) and issubclass(member, Exception)
    }


def _members() -> Iterator[tuple[str, object]]:
    for name in set(ccs_sdk.__all__) - {"__version__"}:
        member = getattr(ccs_sdk, name)
        if inspect.isclass(member):
            yield name, member
            for attribute, value in vars(member).items():
                if not attribute.startswith("_") and (
                    inspect.isfunction(value) or isinstance(value, property | classmethod)
                ):
                    yield f"{name}.{attribute}", value


def test_type_hints_of_every_public_member_resolve_at_run_time() -> None:
    read = 0
    for name, member in _members():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function):
            assert "return" in get_type_hints(function), name
            read += 1
    assert read > 40


def test_every_public_member_has_a_docstring() -> None:
    members = dict(_members())
    assert "ContextClient.set_property" in members
    assert "SessionHandle.set_ttl" in members
    assert [name for name, member in members.items() if not inspect.getdoc(member)] == []
