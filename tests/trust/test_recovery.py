"""An external database that archives its WAL is restored to a point in time, by the commands of backup.md."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from ccs_server.embedded import privileges
from tests.trust import drills
from tests.trust.conftest import Form, Record
from tests.trust.ledger import Ledger
from tests.trust.postgres import Cluster
from tests.trust.reliability import Topic
from tests.trust.test_database_away import instance

DRILL = "backup.md", "## Point-in-time recovery"
MOMENT = "'2026-11-20 14:03:00+00'"


@pytest.fixture
def directory() -> Iterator[Path]:
    """The directory of clusters, base backup and archive, which PostgreSQL's user may write to."""
    with tempfile.TemporaryDirectory(prefix="ccs-recovery-") as name:
        directory, clusters = Path(name), Path(name) / "clusters"
        directory.chmod(0o755)
        owner = privileges.owner_of_new_cluster(directory)
        for each in (clusters, clusters / "wal", clusters / "restored"):
            privileges.make_directory(each, owner)
        yield directory


def test_a_database_is_restored_to_a_point_in_time(
    directory: Path, form: Form, record: Record
) -> None:
    home = directory / "clusters"
    main, restored = Cluster(home / "main"), Cluster(home / "restored")
    restored.port = main.port
    place = {"port": str(main.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    paths = {
        "/var/backups": str(home),
        "/var/lib/postgresql/main": str(main.data),
        "/var/lib/postgresql/restored": str(restored.data),
    }
    (settings,) = drills.blocks(*DRILL, paths, language="ini")
    archiving = dict(line.split(" = ", 1) for line in settings.splitlines())
    main.create(**place, **{name: text.strip("'") for name, text in archiving.items()})
    env = {"CCS_DATABASE_URL": main.url, "REPLICATION_URL": main.url}
    with main.removed_afterwards(), restored.removed_afterwards(), ExitStack() as clients:
        main.start()
        with instance(main.url, directory) as service:
            ledger = Ledger(service.client, clients)
            with ledger.crowd:
                ledger.await_writes(form(short=50, full=500))
                base, _ = drills.blocks(*DRILL, paths)
                drills.run(base, directory, env, as_postgres=True)
                ledger.await_writes(form(short=100, full=5000))
                before = monotonic()
                moment = main.query("SELECT clock_timestamp()::text")
                after = monotonic()
                ledger.await_writes(form(short=100, full=1000))
                main.kill()
        _, recovery = drills.blocks(*DRILL, paths | {MOMENT: f"'{moment}'"})
        began = monotonic()
        drills.run(recovery, directory, env, as_postgres=True)
        seconds = monotonic() - began
        archived = len(list((home / "wal").iterdir()))
        with instance(restored.url, directory) as service:
            client = service.client()
            clients.callback(client.close)
            stored = ledger.stored(client)
            assert client.v1("PUT", "/after/properties/p", 1).status == 204
    promised = ledger.acknowledged_before(before)
    undone = ledger.sent_after(after)
    assert promised <= stored
    assert not stored & undone
    assert undone, "there must be writes to undo"
    record(
        Topic.RESTORE,
        "An external database is killed under load and restored to a moment by the commands of the documentation "
        "(base backup, WAL archive): every write acknowledged up to the moment is there, and none sent after it.",
        f"{len(promised):,} acknowledged writes before the moment: 0 lost; {len(undone):,} sent after it: 0 there; "
        f"restored in {seconds:.1f} s from {archived} archived files",
    )
