"""The service as users run it: `ccs serve` with its defaults, with logs and metrics on."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import extension, operations
from benchmarks.load import Client, Request
from benchmarks.load.requests import SESSION, basic
from benchmarks.processes import Program, free_port, responding, start, wait_until
from benchmarks.stacks.base import HttpStack, send_to_all, session_numbers

ACCOUNT = "benchmark"
NAMESPACE = "bench"
TTL_SECONDS = 86_400
READY = "/readyz"
CCS = (sys.executable, "-m", "ccs_server")


class Instance:
    """A running `ccs serve` with an account."""

    def __init__(
        self,
        name: str,
        directory: Path,
        settings: Mapping[str, str],
        *,
        command: Sequence[str] = CCS,
    ) -> None:
        self._name = name
        self._directory = directory
        self._command = command
        self._environment = {**os.environ, **settings}
        self._ccs("migrate")
        self.port = free_port()
        self.program = self._serve()
        key = self._ccs("keys", "create", ACCOUNT, "--json")["key"]
        self.headers: Mapping[str, str] = {"maven-api-key": key}
        credential = self._ccs("credentials", "create", ACCOUNT, "--json")
        self.token = self._log_in(credential["username"], credential["password"])

    def headers_of(self, account: str) -> Mapping[str, str]:
        """Returns the headers of requests for another account, which gets a new key."""
        return {"maven-api-key": self._ccs("keys", "create", account, "--json")["key"]}

    def restart(self) -> None:
        """Restarts the service with the same port and database."""
        self.program.stop()
        self.program = self._serve()

    def register(self, namespace: str, ttl_seconds: int) -> None:
        """Registers a namespace and sets its TTL."""
        self._send(
            Request(
                "POST",
                f"/v1/account/{ACCOUNT}?ttlSecond={ttl_seconds}",
                operations.compact({"name": namespace}),
                204,
                self.headers,
            )
        )

    def limited_headers(self, namespace: str) -> Mapping[str, str]:
        """Returns the headers of a new key that may use only the namespaces that begin so."""
        return self.new_headers("--namespace", f"{namespace}*")

    def new_headers(self, *options: str) -> Mapping[str, str]:
        """Returns the headers of a new key, made with these options of `ccs keys create`."""
        return {"maven-api-key": self._ccs("keys", "create", ACCOUNT, *options, "--json")["key"]}

    def start_ccs(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a `ccs` command while the service runs."""
        return subprocess.Popen([*self._command, *arguments], env=self._environment)

    def _serve(self) -> Program:
        command = [*self._command, "serve", "--port", str(self.port)]
        program = start(self._name, command, self._directory, self._environment)
        wait_until(responding(self.port, READY), program)
        return program

    def _log_in(self, username: str, password: str) -> str:
        headers = {"Authorization": basic(username, password)}
        content = self._send(Request("POST", "/v2/authenticate/login", headers=headers))
        token: str = json.loads(content)["token"]
        return token

    def _send(self, request: Request) -> bytes:
        client = Client(self.port)
        content = client.send(request)
        client.close()
        return content

    def _ccs(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        finished = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )
        if finished.returncode:
            raise RuntimeError(f"ccs {' '.join(arguments)}: {finished.stdout}{finished.stderr}")
        return json.loads(finished.stdout) if "--json" in arguments else None


class Service(HttpStack):
    """The service, in a namespace with or without a TTL."""

    def __init__(self, instance: Instance, sessions: int, *, ttl_seconds: int = 0) -> None:
        super().__init__(sessions)
        self.name = "service_ttl" if ttl_seconds else "service"
        self.title = "CCS, namespace with a TTL" if ttl_seconds else "CCS"
        self._instance = instance
        self.port = instance.port
        self.programs = (instance.program,)
        self._headers = instance.headers
        self._namespace = f"{NAMESPACE}_ttl" if ttl_seconds else NAMESPACE
        for namespace in (self._namespace, f"{self._namespace}_new"):
            instance.register(namespace, ttl_seconds)
        v2 = {} if ttl_seconds else operations.v2(ACCOUNT, self._namespace, instance.token)
        self.operations = operations.v1(ACCOUNT, self._namespace, self._headers) | v2
        [fill] = self.operations["patch_10"].requests
        send_to_all(self.port, fill, session_numbers(sessions))

    def extend(self) -> None:
        """Adds the operations of the extension; `bulk.load_extension` stores what they need."""
        more = extension.ext(ACCOUNT, self._namespace, self._headers)
        self.operations = {**self.operations, **more}

    def restart(self) -> None:
        """Restarts the service."""
        self._instance.restart()
        self.programs = (self._instance.program,)

    def document(self, client: Client, session: int) -> dict[str, object]:
        path = f"/v1/account/{ACCOUNT}/{self._namespace}/{SESSION}/properties"
        found: dict[str, object] = json.loads(
            client.send(Request("GET", path, headers=self._headers), session)
        )
        return found
