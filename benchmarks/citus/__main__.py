"""Runs the service on Citus: its tests, its locks, the loss of a worker, and its speed beside plain PostgreSQL.

All servers share this machine, so figures are ratios; a second worker has no machine of its own.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.citus.cluster import Node, add, build, cluster, rebalance
from ccs_server.domain.errors import Unavailable
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import LOCK, DocumentKey
from ccs_server.store.faults import StoreFault
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.namespaces import register_namespace
from ccs_server.store.purge import purge
from ccs_server.store.reading import READ_ALL, read_one
from ccs_server.store.saving import SAVE, save
from ccs_server.store.sequencing import sequence
from ccs_server.store.sessions import LIST_IDS

_ROOT = Path(__file__).parents[2]
_PARTS = ("tests", "commands", "log", "lock", "kill", "online", "speed")
_SAVED, _REFUSED = "204", "503"
_BUILD = Path(tempfile.gettempdir(), "ccs-citus")
_SHARDS = "8"
_ACCOUNTS = 20
_TESTS = (
    "tests/api/test_v1_namespaces.py", "tests/api/test_v1_properties.py", "tests/api/test_v1_sessions.py",
    "tests/api/test_v2_documents.py", "tests/api/test_v2_login.py", "tests/api/test_one_store.py",
    "tests/api/test_auth.py", "tests/api/test_conditions.py", "tests/api/test_operations.py",
    "tests/api/test_partial.py", "tests/api/test_leases.py", "tests/api/test_idempotency.py",
    "tests/api/test_ext_find.py", "tests/api/test_ext_keys.py", "tests/api/test_ext_tokens.py",
    "tests/api/test_ext_transfer.py", "tests/api/test_ext_changes.py", "tests/api/test_ext_streams.py",
    "tests/api/test_ext_webhooks.py", "tests/api/test_ext_jobs.py", "tests/api/test_ext_activity.py",
    "tests/store/test_search_index.py", "tests/store/test_webhooks.py", "tests/store/test_deliveries.py",
    "tests/store/test_activity.py", "tests/store/jobs",
)  # fmt: skip
# It waits for a lock that it looks for on the node to which it is connected.
_LOCAL = "not test_a_repetition_while_the_first_try_runs_is_409_at_once"


def main() -> None:
    arguments = _arguments()
    programs = build(arguments.source, arguments.build)
    with tempfile.TemporaryDirectory(prefix="ccs-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        parts = {
            "tests": _try_tests,
            "commands": _try_commands,
            "log": _try_log,
            "lock": _try_lock,
            "kill": _try_kill,
        }
        if parts := {name: run for name, run in parts.items() if name in arguments.parts}:
            with _running(programs, directory, 2) as nodes:
                for part, run in parts.items():
                    print(f"\n## {part}", flush=True)
                    run(nodes)
        if "online" in arguments.parts:
            print("\n## online", flush=True)
            with _running(programs, directory, 2, is_distributed=False) as nodes:
                _try_online(nodes)
        if "speed" in arguments.parts:
            print("\n## speed", flush=True)
            _measure_speed(programs, directory, arguments.seconds)


@contextmanager
def _running(
    programs: Path, directory: Path, workers: int, *, is_distributed: bool = True
) -> Iterator[list[Node]]:
    """A cluster with a store, by default a distributed one."""
    with ExitStack() as stack:
        nodes = cluster(programs, directory, workers)
        for node in nodes:
            stack.callback(node.stop)
        _ccs(nodes[0], "migrate")
        if is_distributed:
            _ccs(nodes[0], "distribute", "--shards", _SHARDS)
        yield nodes


def _ccs(node: Node, *arguments: str) -> None:
    environment = os.environ | {"CCS_DATABASE_URL": node.url}
    subprocess.run([sys.executable, "-m", "ccs_server", *arguments], env=environment, check=True)


def _try_tests(nodes: list[Node]) -> None:
    """Runs the tests of the API with the coordinator, and with a worker, as the database of the service."""
    for name, node in {"coordinator": nodes[0], "worker": nodes[1]}.items():
        environment = os.environ | {"CCS_TEST_DATABASE_URL": node.url}
        command = [sys.executable, "-m", "pytest", "-q", "-k", _LOCAL, *_TESTS]
        done = subprocess.run(
            command, env=environment, cwd=_ROOT, check=False, capture_output=True, text=True
        )
        shown = [line for line in done.stdout.splitlines() if re.match(r"FAILED|ERROR|\d+ ", line)]
        print(f"through the {name}:", *shown, sep="\n  ", flush=True)


def _try_commands(nodes: list[Node]) -> None:
    """Runs commands with the coordinator, and with a worker, as the database."""
    with tempfile.TemporaryDirectory() as directory:
        for node in nodes[:2]:
            for command in (
                ("keys", "create", "account-1"),
                ("credentials", "create", "account-1"),
                ("keys", "regenerate", "account-1"),
                ("signing-keys", "rotate"),
                ("quotas", "set", "account-1", "--properties", "1000"),
                ("quotas", "show", "account-1"),
                ("audit", "account-1"),
                ("purge",),
                ("backup", f"{directory}/{node.port}"),
            ):
                _ccs(node, *command, "--json")


def _try_log(nodes: list[Node]) -> None:
    """Purges expired properties of namespaces that log changes, and then what was logged, through two nodes."""
    for name, node in {"coordinator": nodes[0], "worker": nodes[1]}.items():
        database = Database(node.url, Settings())
        accounts = [f"log-{name}-{number}" for number in range(_ACCOUNTS)]
        for account in accounts:
            change_settings(database, account, "n", changes="values")
            save(database, DocumentKey(account, "n", "s"), b'{"old": 1, "kept": 1}')
        node.execute(
            "UPDATE property SET expires_at = now(), purge_at = now() WHERE account = ANY (%s) AND name = 'old'",
            accounts,
        )
        expired = purge(database, batch=7).properties
        logged = sequence(database)
        node.execute("UPDATE change SET kept_until = now() WHERE account = ANY (%s)", accounts)
        forgotten = purge(database, batch=7).changes
        print(
            f"through the {name}: {expired} expired, {logged} events logged, {forgotten} forgotten"
        )
        database.release()


_TRY = Statement.of(
    "try_lock",
    """
    SELECT pg_try_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || $3, 0))
    FROM (SELECT count(*) FROM namespace WHERE account = $1 AND name = $2) AS place
    """,
)
_LOCK_NO_TABLE = Statement.of(
    "lock_no_table",
    "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || $3, 0))",
)


def _try_lock(nodes: list[Node]) -> None:
    """Takes the lock of one document through two nodes."""
    one, other = (Database(node.url, Settings()) for node in nodes[:2])
    params = DocumentKey("account-1", "n", "s").params()
    with one.transaction() as connection:
        connection.execute(LOCK, params)
        taken = other.execute(_TRY, *params).get_value(0, 0) == b"t"
        print("held through the coordinator; a worker", "gets it too" if taken else "is refused")
    taken = other.execute(_TRY, *params).get_value(0, 0) == b"t"
    print("released; a worker", "gets it" if taken else "is refused")
    with one.transaction() as connection:
        connection.execute(_LOCK_NO_TABLE, params)
        taken = other.execute(_LOCK_NO_TABLE, *params).get_value(0, 0) == b"t"
        print("a statement without a table: a worker", "gets it too" if taken else "is refused")
    one.release()
    other.release()


class _Try(NamedTuple):
    account: str
    began: float
    ended: float
    answer: str
    """The status of the response that this would be."""


class _Writer(threading.Thread):
    """Saves increasing numbers to one account after the other, each in a session of its own."""

    def __init__(self, database: Database, number: int, ends_at: float) -> None:
        super().__init__()
        self._database = database
        self._session = f"s{number}"
        self._ends_at = ends_at
        self.saved: dict[DocumentKey, int] = {}
        self.tries: list[_Try] = []

    def run(self) -> None:
        value = 0
        while (began := time.monotonic()) < self._ends_at:
            value += 1
            account = _accounts()[value % _ACCOUNTS]
            document = DocumentKey(account, "n", self._session)
            answer = self._save(document, value)
            self.tries.append(_Try(account, began, time.monotonic(), answer))

    def _save(self, document: DocumentKey, value: int) -> str:
        try:
            save(self._database, document, b'{"value": %d}' % value)
        except Unavailable:
            time.sleep(0.02)
            return _REFUSED
        except StoreFault as fault:
            return f"500 {fault.sqlstate} {fault}"
        self.saved[document] = value
        return _SAVED


def _try_kill(nodes: list[Node]) -> None:
    """Kills a worker while accounts of both are written to, and starts it again."""
    coordinator, _, worker = nodes
    with _written_to(nodes[:2], seconds=10) as writers:
        time.sleep(3)
        worker.kill()
        killed_at = time.monotonic()
        time.sleep(3)
        worker.run()
        returned_at = time.monotonic()
    away = {account for account in _accounts() if _port_of(coordinator, account) == worker.port}
    print(f"{len(away)} of {_ACCOUNTS} accounts were on the worker that was killed")
    tries = [each for writer in writers for each in writer.tries]
    meanwhile = [each for each in tries if killed_at < each.began and each.ended < returned_at]
    print(f"without it, {returned_at - killed_at:.1f} s:")
    for where, is_away in (("of these accounts", True), ("of the others", False)):
        counts = Counter(each.answer for each in meanwhile if (each.account in away) == is_away)
        print(f"  saves {where}, by status: {dict(counts)}")
    late = [each.ended - returned_at for each in tries if each.answer != _SAVED]
    print(f"last refusal {max(0, *late):.1f} s after its return")


def _try_online(nodes: list[Node]) -> None:
    """Distributes a database while it is written to through the coordinator."""
    _fill(nodes[0])
    with _written_to(nodes[:1], seconds=20) as writers:
        time.sleep(2)
        began = time.monotonic()
        _ccs(nodes[0], "distribute", "--shards", _SHARDS)
        ended = time.monotonic()
    print(f"'ccs distribute' took {ended - began:.1f} s")
    tries = [each for writer in writers for each in writer.tries]
    print(f"saves by status: {dict(Counter(each.answer for each in tries))}")
    wrong = [each.ended for each in tries if each.answer != _SAVED]
    if wrong:
        print(f"not acknowledged during {max(wrong) - min(wrong):.1f} s")
    print(f"longest save {max(each.ended - each.began for each in tries):.1f} s")


@contextmanager
def _written_to(nodes: list[Node], *, seconds: int) -> Iterator[list[_Writer]]:
    """Saves through nodes for at least this time, and for the length of the block; then checks what is stored."""
    databases = [Database(node.url, Settings(statement_timeout=2)) for node in nodes]
    for account in _accounts():
        register_namespace(databases[0], account, "n", None)
    ends_at = time.monotonic() + seconds
    writers = [_Writer(databases[number % len(nodes)], number, ends_at) for number in range(4)]
    for writer in writers:
        writer.start()
    yield writers
    for writer in writers:
        writer.join()
    saved = {document: value for writer in writers for document, value in writer.saved.items()}
    stored = {document: read_one(databases[0], document, "value") for document in saved}
    lost = sum(int(stored[document] or 0) < value for document, value in saved.items())
    acknowledged = sum(each.answer == _SAVED for writer in writers for each in writer.tries)
    print(f"{acknowledged} saves were acknowledged, {lost} are lost")
    for database in databases:
        database.release()


def _accounts() -> list[str]:
    return [f"account-{number}" for number in range(_ACCOUNTS)]


def _port_of(coordinator: Node, account: str) -> int:
    """Returns the port of the node that has the account."""
    find = (
        "SELECT nodeport FROM citus_shards"
        " WHERE shardid = get_shard_id_for_distribution_column('property', %s::text)"
    )
    ((port,),) = coordinator.execute(find, account)
    return int(port)


_SPEEDS = {
    "read": (READ_ALL, {}),
    "save": (SAVE, {"$4": """'{"property3": "another value"}'"""}),
    "list": (LIST_IDS, {"$3": "''", "$4": "0", "$5": "100", "$6": "1000000"}),
}


def _measure_speed(programs: Path, directory: Path, seconds: int) -> None:
    plain = Node.start(programs, directory, has_citus=False)
    try:
        _ccs(plain, "migrate")
        _fill(plain)
        first = _speeds(plain, directory, seconds, "force_generic_plan")
        with _running(programs, directory, 1) as nodes:
            _fill(nodes[0])
            one = _speeds(nodes[0], directory, seconds, "auto")
            through = _speeds(nodes[1], directory, seconds, "auto")
            second = Node.start(programs, directory, has_citus=True)
            try:
                add(nodes[0], second)
                moved = rebalance(nodes[0])
                two = _speeds(nodes[0], directory, seconds, "auto")
            finally:
                second.stop()
        again = _speeds(plain, directory, seconds, "force_generic_plan")
    finally:
        plain.stop()
    print(f"half of the data moved to a second worker in {moved:.1f} s")
    print(
        "| operation | plain, a second | 1 worker | through that worker | 2 workers |\n|---|---|---|---|---|"
    )
    for name in _SPEEDS:
        base = (first[name] + again[name]) / 2
        ratios = " | ".join(f"{each[name] / base:.2f}" for each in (one, through, two))
        print(f"| {name} | {first[name]:,.0f}, {again[name]:,.0f} | {ratios} |")


def _fill(node: Node) -> None:
    """Stores 20,000 properties: of each account, 100 sessions of 10."""
    node.execute(
        "INSERT INTO namespace (account, name) SELECT a, 'n' FROM generate_series(1, %s) a",
        _ACCOUNTS,
    )
    node.execute(
        "INSERT INTO property (account, namespace_id, session_id, name, value, size)"
        " SELECT account, id, s, 'property' || p, to_json('value ' || s), 30"
        " FROM namespace, generate_series(1, 100) s, generate_series(0, 9) p"
    )
    node.execute("ANALYZE")


def _speeds(node: Node, directory: Path, seconds: int, plan: str) -> dict[str, float]:
    """Returns the executions a second of each statement, by 8 clients of pgbench."""
    rates = {}
    for name, (statement, params) in _SPEEDS.items():
        sql = statement.sql.decode()
        values = {"$1": ":account", "$2": "'n'", "$3": ":session", **params}
        for parameter, value in values.items():
            sql = sql.replace(parameter, value)
        script = directory / f"{name}.sql"
        one_line = re.sub(r"\s+", " ", re.sub(r"--.*", "", sql))
        variables = f"\\set account random(1, {_ACCOUNTS})\n\\set session random(1, 100)\n"
        script.write_text(f"{variables}{one_line};\n")
        done = subprocess.run(
            [node.programs / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={script}",
             "--client=8", "--jobs=2", f"--time={seconds}", node.url],
            check=True, capture_output=True, text=True,
            env=os.environ | {"PGOPTIONS": f"-c plan_cache_mode={plan} -c enable_seqscan=off -c jit=off"},
        )  # fmt: skip
        rates[name] = float(re.findall(r"tps = ([0-9.]+)", done.stdout)[0])
    return rates


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.citus", description=__doc__)
    parser.add_argument("source", type=Path, help="a git repository of Citus")
    parser.add_argument("--build", type=Path, default=_BUILD, help="where to build it")
    parser.add_argument("--seconds", type=int, default=5, help="of each measure")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
