"""What `ccs serve` says when it is ready, and when it says it."""

import json
import os
import shlex
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads

import pytest

from ccs_server.serving.greeting import Greeter, Greeting, command
from ccs_server.store.credentials import ApiKey
from tests.support.ports import free_port
from tests.support.waiting import wait_until

KEY = ApiKey("demo", "abc", "ccs_abc_secret")


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80")]
)
def test_the_url_can_be_pasted_into_a_browser(host: str, url: str) -> None:
    greeting = Greeting(host, 80, None, None)
    assert greeting.url == url
    assert greeting.docs == f"{url}/docs"


def test_a_new_account_is_told_its_key_and_a_line_to_try_it() -> None:
    greeting = Greeting("127.0.0.1", 8000, None, KEY)
    said = json.loads(greeting.as_json())
    assert said["key"] == KEY.key
    assert said["curl"] in greeting.as_text()
    words = shlex.split(said["curl"])
    assert words.count("curl") == 2
    assert f"maven-api-key: {KEY.key}" in words
    assert json.loads(words[words.index("-d") + 1]) == {"name": "Ada"}


def test_the_line_of_variables_is_all_that_the_sdk_needs() -> None:
    greeting = Greeting("127.0.0.1", 8000, None, KEY)
    line = json.loads(greeting.as_json())["export"]
    assert f"\n  {line}\n" in greeting.as_text()
    assert line == f"export CCS_URL={greeting.url} CCS_ACCOUNT=demo CCS_API_KEY={KEY.key}"


def test_a_store_that_was_there_is_told_how_to_make_a_key() -> None:
    greeting = Greeting("127.0.0.1", 8000, "http://127.0.0.1:9464", None)
    assert json.loads(greeting.as_json()).keys() == {
        "url",
        "docs",
        "console",
        "command",
        "operations",
    }
    text = greeting.as_text()
    assert f"  {command()} keys create ACCOUNT\n" in text
    assert "  export CCS_URL=http://127.0.0.1:8000 CCS_ACCOUNT=ACCOUNT CCS_API_KEY=KEY\n" in text


def test_the_console_is_named_only_where_it_is() -> None:
    with_it = Greeting("127.0.0.1", 8000, None, None)
    assert with_it.console == json.loads(with_it.as_json())["console"]
    assert with_it.console in with_it.as_text()
    without = Greeting("127.0.0.1", 8000, None, None, has_console=False)
    assert with_it.console not in without.as_json() + without.as_text()


@pytest.mark.parametrize("name", ["here", "with a space", "missing"])
def test_the_command_that_it_names_is_this_installation(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the name `ccs` finds another program first."""
    programs = tmp_path / name
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    if name != "missing":
        (programs / "ccs").write_text("#!/bin/sh\necho ours")
        (programs / "ccs").chmod(0o755)
    other = tmp_path / "other"
    other.mkdir()
    (other / "ccs").write_text("#!/bin/sh\necho another")
    (other / "ccs").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    for path in (str(other), f"{programs}:{other}"):
        monkeypatch.setenv("PATH", path)
        if name == "missing":
            assert shlex.split(command())[1:] == ["-m", "ccs_server"]
            continue
        said = subprocess.run(  # noqa: S602 - a person would paste it into a shell, too
            command(),
            shell=True,
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": f"{path}:{os.defpath}"},
        )
        assert said.stdout == "ours\n"
    assert (command() == "ccs") == (name != "missing")


class _Service(BaseHTTPRequestHandler):
    """Is ready from the third request on."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.path == "/readyz" and type(self).asked > 2 else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_it_speaks_once_when_the_service_is_ready_and_not_before() -> None:
    said: list[int] = []
    spoken = Event()

    def say() -> None:
        said.append(_Service.asked)
        spoken.set()

    with HTTPServer(("127.0.0.1", 0), _Service) as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with Greeter(Greeting("127.0.0.1", service.server_port, None, None), say):
            assert spoken.wait(10)
        service.shutdown()
        thread.join()
    assert said == [3]


def test_it_says_nothing_of_a_service_that_never_was() -> None:
    said: list[None] = []
    with Greeter(Greeting("127.0.0.1", free_port(), None, None), lambda: said.append(None)):
        pass
    wait_until(lambda: all(thread.name != "greeter" for thread in enumerate_threads()))
    assert said == []
