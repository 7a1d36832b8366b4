"""What `deploy/compose.yaml` starts, without containers: the same scripts, settings and configurations.

A primary and its standby, the migration, two instances, and haproxy in front of them. tests/test_deploy.py reads the
other files.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests
from sqlalchemy import make_url

from ccs_server.embedded import programs
from tests.support import deployed
from tests.support.haproxy import HAPROXY, needs_haproxy
from tests.support.ports import free_port
from tests.support.service import TIMEOUT_SECONDS, Server, ccs, environment, serving
from tests.support.users import as_ordinary_user
from tests.support.waiting import wait_until

HOST = "127.0.0.1"
SCRIPTS = deployed.DEPLOY / "database"


class Databases:
    """The primary and the standby, as the user that PostgreSQL runs as."""

    def __init__(self, directory: Path, log: Path) -> None:
        self._directory = directory
        self.ports = {"primary": free_port(), "standby": free_port()}
        self._services = deployed.compose()["services"]
        self._log = log

    def run(self, *command: str | Path, **variables: str) -> None:
        """Runs a command with PostgreSQL's programs in its path."""
        with self._log.open("ab") as output:
            done = subprocess.run(
                self._as_user(*command), check=False, cwd="/", env=self._environment(variables),
                stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        assert done.returncode == 0, self._log.read_text()

    @contextmanager
    def primary(self) -> Iterator[None]:
        """Runs a primary, prepared by the script of compose.yaml as the image would run it."""
        data = self._directory / "primary"
        trust = (
            "--username=postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
        )
        self.run("initdb", "--pgdata", data, *trust, "--encoding=UTF8", "--no-locale")
        control = ("pg_ctl", "--pgdata", data, "--wait", "--silent")
        settings = self._services["primary"]["command"][1:]
        places = f"-p {self.ports['primary']} -k {self._directory} -c listen_addresses={HOST}"
        self.run(
            *control,
            "start",
            "--log",
            self._directory / "log",
            "-o",
            f"{' '.join(settings)} {places}",
        )
        try:
            script = SCRIPTS / "primary.sh"
            here = {
                "PGHOST": str(self._directory),
                "PGPORT": str(self.ports["primary"]),
                "PGDATA": str(data),
            }
            self.run(
                "/bin/sh",
                "-c",
                script.read_text(),
                **self._services["primary"]["environment"],
                **here,
            )
            self.run(*control, "reload")
            yield
        finally:
            self.run(*control, "stop", "--mode=fast")

    @contextmanager
    def standby(self) -> Iterator[None]:
        """Runs the standby by the script of compose.yaml."""
        process = self._start_standby()
        try:
            wait_until(self._is_in_recovery, seconds=TIMEOUT_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)

    def _start_standby(self) -> subprocess.Popen[bytes]:
        port = self.ports["standby"]
        # In the container, PostgreSQL has its own address. Here, it must not have that of the primary.
        script = (SCRIPTS / "standby.sh").read_text()
        assert script.endswith("exec postgres\n")
        script = f"{script.rstrip()} -p {port} -k {self._directory} -c listen_addresses={HOST}\n"
        variables = self._services["standby"]["environment"] | {
            "PGDATA": str(self._directory / "standby"),
            "PGHOST": HOST,
            "PGPORT": str(self.ports["primary"]),
        }
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._as_user("/bin/sh", "-c", script), cwd="/", env=self._environment(variables),
                stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def url(self, name: str, service: str) -> str:
        """Returns the database URL of a service in compose.yaml, at the real place of the database."""
        url = make_url(self._services[service]["environment"]["CCS_DATABASE_URL"])
        return url.set(host=HOST, port=self.ports[name]).render_as_string(hide_password=False)

    def query(self, name: str, sql: str) -> object:
        """Returns the first column of the first row, read as the service's role."""
        with psycopg.connect(self.url(name, "migrate")) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row
        return row[0]

    def _is_in_recovery(self) -> bool:
        try:
            return self.query("standby", "SELECT pg_is_in_recovery()") is True
        except psycopg.OperationalError:
            return False

    def _as_user(self, *command: str | Path) -> list[str]:
        return as_ordinary_user(*(str(part) for part in command))

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": f"{programs()}:{os.environ['PATH']}", "LC_ALL": "C", **variables}


def settings(databases: Databases, name: str) -> dict[str, str]:
    """The environment of an instance in compose.yaml, with the primary in place of the pooler."""
    given: dict[str, Any] = deployed.compose()["services"][name]["environment"]
    return environment(
        **given
        | {
            "CCS_DATABASE_URL": databases.url("primary", name),
            "CCS_OPERATIONS_HOST": HOST,
            "CCS_DRAIN_TIME": "0.01",
        }
    )


@contextmanager
def balanced(instances: list[Server], directory: Path) -> Iterator[str]:
    """Runs haproxy with its configuration in front of the instances; yields its URL."""
    port = free_port()
    text = deployed.HAPROXY.read_text().replace("bind :8080", f"bind {HOST}:{port}")
    for number, instance in enumerate(instances, start=1):
        text = text.replace(f" ccs{number}:8000", f" {HOST}:{instance.port}")
    assert len(re.findall(rf" {HOST}:\d+$", text, re.MULTILINE)) == 5
    configuration = directory / "haproxy.cfg"
    configuration.write_text(text)
    with subprocess.Popen([HAPROXY, "-db", "-q", "-f", configuration]) as process:
        try:
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=TIMEOUT_SECONDS).status_code == 200
    except requests.ConnectionError:
        return False


@needs_haproxy
def test_what_compose_starts_serves_on_two_instances_and_copies_to_the_standby(
    nobodys_directory: Path, tmp_path: Path
) -> None:
    databases = Databases(nobodys_directory, tmp_path / "log")
    with ExitStack() as stack:
        stack.enter_context(databases.primary())
        # The first start copies the primary, later ones follow it.
        with databases.standby():
            pass
        stack.enter_context(databases.standby())
        migrate = environment(CCS_DATABASE_URL=databases.url("primary", "migrate"))
        assert ccs("migrate", env=migrate).returncode == 0
        env = settings(databases, "ccs1")
        made = ccs("keys", "create", "demo", env=env)
        key = made.stdout.splitlines()[1]
        instances = [stack.enter_context(serving(env=env)) for _ in range(2)]
        url = stack.enter_context(balanced(instances, tmp_path))
        wait_until(lambda: is_ready(url))
        saved = f"{url}/v1/account/demo/airline/properties/intent"
        headers = {"maven-api-key": key}
        for value in range(10):
            answer = requests.put(saved, json=value, headers=headers, timeout=TIMEOUT_SECONDS)
            assert answer.status_code == 204
        wait_until(lambda: databases.query("standby", "SELECT value FROM property") == 9)
        # With one instance stopped, the other goes on.
        assert instances[0].stop() == 0
        wait_until(lambda: is_ready(url))
        assert requests.get(saved, headers=headers, timeout=TIMEOUT_SECONDS).json() == 9
