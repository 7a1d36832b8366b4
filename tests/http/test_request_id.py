"""Ids of requests that the service makes; those of clients are in `api/test_requests.py`."""

import subprocess
import sys

from ccs_server.http.request_id import request_id_of

IDS_OF_TWO_PROCESSES = """
import os
from ccs_server.http.request_id import request_id_of
print(request_id_of({}), flush=True)
if os.fork():
    os.wait()
print(request_id_of({}), flush=True)
"""


def test_a_request_keeps_the_id_that_it_was_given() -> None:
    environ: dict[str, object] = {}
    assert request_id_of(environ) == request_id_of(environ)
    assert request_id_of(environ) != request_id_of({})


def test_a_forked_process_gives_ids_of_its_own() -> None:
    command = [sys.executable, "-c", IDS_OF_TWO_PROCESSES]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    ids = ran.stdout.split()
    assert len(set(ids)) == len(ids) == 3
