"""The service's own pages: health, readiness and documentation."""

import re
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.support.service import Server


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_is_healthy_and_ready(server: Server, path: str) -> None:
    response = requests.get(server.url + path, timeout=10)
    assert response.status_code == 200


def test_the_root_redirects_to_the_docs(server: Server) -> None:
    response = requests.get(f"{server.url}/", timeout=10)
    assert response.status_code == 200
    assert urlsplit(response.url).path.rstrip("/") == "/docs"


def test_everything_the_docs_page_loads_is_served_by_us(server: Server) -> None:
    page = requests.get(f"{server.url}/docs", timeout=10)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) >= 2
    for file in files:
        url = urljoin(page.url, file)
        assert url.startswith(server.url), url
        assert requests.get(url, timeout=10).status_code == 200, url
