"""How the console's files are served."""

import hashlib
import json
from pathlib import Path

import pytest
import requests

from ccs_server.app import create_app
from ccs_server.settings import Settings
from tests.support.service import Server

STATIC = Path(__file__).parents[2] / "server" / "src" / "ccs_server" / "console" / "static"
VENDOR = STATIC / "vendor"
HASHES = json.loads(Path(__file__).with_name("vendor.json").read_text())


def test_files_of_others_are_those_of_their_packages() -> None:
    """Each is as its package on npm has it: our hashes are of those, and nothing here changes them."""
    files = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file()
    }
    assert files == {
        f"{name}/{file}": digest
        for name, package in HASHES.items()
        for file, digest in package["files"].items()
    }


def test_the_page_is_checked_for_changes_each_time(server: Server) -> None:
    page = requests.get(f"{server.url}/console", timeout=10)
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-cache"
    unchanged = {"If-None-Match": page.headers["ETag"]}
    again = requests.get(f"{server.url}/console", headers=unchanged, timeout=10)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("vendor/lit-html/lit-html.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_a_file_has_its_type_on_every_system(server: Server, path: str, kind: str) -> None:
    response = requests.get(f"{server.url}/console/{path}", timeout=10)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == kind


@pytest.mark.parametrize("path", ["console/none.js", "console/..%2F..%2Fapp.py", "console/vendor"])
def test_there_are_no_other_files(server: Server, path: str) -> None:
    response = requests.get(f"{server.url}/{path}", timeout=10)
    assert response.status_code == 404
    assert response.json()["message"] == "The console has no such file; its page is /console."


@pytest.mark.parametrize("path", ["/console", "/console/app.js", "/console/none.js"])
def test_only_scripts_and_styles_of_files_are_allowed(server: Server, path: str) -> None:
    policy = requests.get(server.url + path, timeout=10).headers["Content-Security-Policy"]
    assert dict(part.split(" ", 1) for part in policy.split("; ")) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_it_can_be_switched_off() -> None:
    client = create_app(Settings(database_url="postgresql://none", console=False)).test_client()
    for path in ("/console", "/console/app.js"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; frame")
