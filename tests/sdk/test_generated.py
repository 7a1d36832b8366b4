"""The synchronous and the asynchronous clients are the same, but for `await`."""

import inspect
import re
import runpy
from typing import TYPE_CHECKING, Any, is_typeddict

import pytest

import ccs_sdk
from ccs_sdk import ClientOptions, aio
from tests.sdk.test_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GENERATE = ROOT / "sdk" / "generate.py"

WITHOUT_AWAIT = {"__setitem__", "__delitem__", "ttl"}
"""What a handle has only where nothing needs to be awaited: `call["a"] = 1`, `del call["a"]`, `call.ttl`."""

PAIRS = {name: name.removeprefix("Async") for name in aio.__all__}
CLASSES = sorted(
    name
    for name in PAIRS
    if inspect.isclass(getattr(aio, name)) and not is_typeddict(getattr(aio, name))
)
CLIENTS = {"AsyncContextClient", "AsyncDocumentClient"}


def test_the_synchronous_modules_are_generated_from_the_asynchronous_ones() -> None:
    generated: dict[Path, str] = runpy.run_path(str(GENERATE))["generated"]()
    assert len(generated) > 10
    for path, text in generated.items():
        assert path.read_text() == text, f"{path.name} is stale; run python sdk/generate.py"


def test_every_client_and_handle_has_its_pair() -> None:
    assert all(hasattr(ccs_sdk, name) for name in PAIRS.values())
    paired = {path.stem for path in (ROOT / "sdk" / "src" / "ccs_sdk" / "aio").glob("*.py")}
    sends = {
        name
        for name in ccs_sdk.__all__
        if inspect.isclass(member := getattr(ccs_sdk, name))
        and member.__module__.rpartition(".")[2] in paired
    }
    assert sends == set(PAIRS.values()) - {"OnLost"}


@pytest.mark.parametrize("name", CLASSES)
def test_both_have_the_same_members_and_signatures(name: str) -> None:
    theirs, ours = _members(getattr(aio, name)), _members(getattr(ccs_sdk, PAIRS[name]))
    assert theirs == {name: text for name, text in ours.items() if name not in WITHOUT_AWAIT}


def test_both_have_the_same_options() -> None:
    theirs, ours = (set(kind.__annotations__) for kind in (aio.AsyncClientOptions, ClientOptions))
    assert theirs - ours == {"http_client"}
    assert ours - theirs == {"http_session"}


def _members(kind: type) -> dict[str, str]:
    """Returns the signature of each public member, without what differs by nature."""
    shown: dict[str, str] = {}
    for name in dir(kind):
        member: Any = inspect.getattr_static(kind, name)
        if name.startswith("_") and name not in {"__getitem__", "__setitem__", "__delitem__"}:
            if name == "__init__" and kind.__name__ in CLIENTS | {PAIRS[name] for name in CLIENTS}:
                shown[name] = _plain(str(inspect.signature(member)))
        elif isinstance(member, property):
            assert member.fget
            shown[name] = f"property {_plain(str(inspect.signature(member.fget)))}"
        else:
            shown[name] = _plain(str(inspect.signature(getattr(kind, name))))
    return shown


def _plain(signature: str) -> str:
    """Returns the signature in the names of the synchronous one."""
    for theirs, ours in (
        (r"http_client: httpx2\.AsyncClient", "http_session: requests.sessions.Session"),
        (r"\bAsync(?=[A-Z])", ""),
        (r"ccs_sdk\.aio\.", "ccs_sdk."),
    ):
        signature = re.sub(theirs, ours, signature)
    return signature
