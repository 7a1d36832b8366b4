"""`ccs export` and `ccs import`: files, resuming, progress, and what an error says."""

import json
import os
import pty
import subprocess
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ccs_server.cli import main, transfer
from ccs_server.store import saving
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.exporting import export_page
from tests.support.service import CCS, environment

SESSIONS = 30


@pytest.fixture
def account(database: Database) -> str:
    """An account with some sessions of three properties."""
    account = f"test-{token_hex(6)}"
    for number in range(SESSIONS):
        document = DocumentKey(account, "orders", f"s{number:02}")
        saving.save(database, document, b'{"a":1.10,"b":"\xc3\xa9","c":null}')
    return account


LINES = 1 + 3 * SESSIONS


def run(database_url: str, *arguments: object, text: bytes | None = None) -> Result:
    words = [str(argument) for argument in arguments]
    env = {"CCS_DATABASE_URL": database_url}
    return CliRunner().invoke(main, words, env=env, input=text, catch_exceptions=False)


def output(database_url: str, *arguments: object) -> dict[str, Any]:
    done = run(database_url, *arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def data(file: Path) -> Iterator[bytes]:
    """The lines of a file without those that end its pages."""
    for line in file.read_bytes().splitlines():
        if line.startswith(b'{"ns"'):
            yield line


def test_what_is_exported_to_a_file_is_imported_into_another_account(
    database_url: str, account: str, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.ndjson", tmp_path / "other.ndjson"
    made = output(database_url, "export", account, one)
    assert made == {"account": account, "file": str(one), "lines": LINES}
    assert one.stat().st_mode & 0o777 == 0o600
    assert one.read_bytes().endswith(b'\n{"end":true}\n')
    into = f"{account}-2"
    imported = {"account": into, "saved": LINES, "skipped": 0}
    assert output(database_url, "import", into, one) == imported
    output(database_url, "export", into, other)
    assert other.read_bytes() == one.read_bytes()
    kept = output(database_url, "import", into, one, "--keep")
    assert (kept["saved"], kept["skipped"]) == (0, LINES)
    assert [path.name for path in tmp_path.iterdir()] == ["one.ndjson", "other.ndjson"]


def test_an_export_replaces_no_file_unless_it_is_forced_to(
    database_url: str, account: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.ndjson"
    file.write_text("precious")
    refused = run(database_url, "export", account, file)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert file.read_text() == "precious"
    assert output(database_url, "export", account, file, "--force")["lines"] == LINES


def test_an_export_may_be_of_one_namespace(
    database_url: str, database: Database, account: str, tmp_path: Path
) -> None:
    saving.save(database, DocumentKey(account, "other", "s"), b'{"a":1}')
    file = tmp_path / "export.ndjson"
    assert output(database_url, "export", account, file, "--namespace", "other")["lines"] == 2
    bad = run(database_url, "export", account, tmp_path / "x", "--namespace", "a b")
    assert (bad.exit_code, "A namespace must be" in bad.stderr) == (1, True)


@pytest.mark.parametrize("cut", [0, 1, 100, 2_000, 5_000, -1, -20])
def test_an_export_that_was_interrupted_is_continued(
    database_url: str, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(transfer, "MAX_EXPORT_LINES", 20)
    whole, file = tmp_path / "whole.ndjson", tmp_path / "export.ndjson"
    output(database_url, "export", account, whole)
    part = tmp_path / "export.ndjson.part"
    part.write_bytes(whole.read_bytes()[:cut])
    before = part.read_bytes()
    read: list[object] = []
    page = export_page

    def counted(*arguments: Any, **options: Any) -> Any:
        read.append(options["after"])
        return page(*arguments, **options)

    monkeypatch.setattr(transfer, "export_page", counted)
    assert output(database_url, "export", account, file, "--resume")["lines"] == LINES
    assert file.read_bytes() == whole.read_bytes()
    assert not part.exists()
    # No page is read twice.
    assert len(read) == whole.read_bytes().count(b'{"next"') + 1 - before.count(b'"}\n{"next"')


def test_without_resume_an_interrupted_export_begins_anew(
    database_url: str, account: str, tmp_path: Path
) -> None:
    (tmp_path / "export.ndjson.part").write_bytes(b"something else\n")
    file = tmp_path / "export.ndjson"
    assert output(database_url, "export", account, file)["lines"] == LINES
    assert len([*data(file)]) == LINES


def test_an_export_of_another_account_is_not_continued(
    database_url: str, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_EXPORT_LINES", 20)
    whole = tmp_path / "whole.ndjson"
    output(database_url, "export", account, whole)
    (tmp_path / "x.part").write_bytes(whole.read_bytes()[:-20])
    refused = run(database_url, "export", "another", tmp_path / "x", "--resume")
    assert (refused.exit_code, "same query" in refused.stderr) == (1, True)


def test_an_import_says_which_line_was_refused_and_where_to_continue(
    database_url: str, tmp_path: Path
) -> None:
    account = f"test-{token_hex(6)}"
    lines = [f'{{"ns":"a","session":"s{n}","name":"p","value":{n}}}' for n in range(2500)]
    lines[2200] = '{"ns":"a b","name":"p","value":1}'
    file = tmp_path / "bad.ndjson"
    file.write_text("\n".join(lines))
    refused = run(database_url, "import", account, file)
    assert refused.exit_code == 1
    assert f"{file}, line 2201: A namespace must be" in refused.stderr
    assert "The lines before 2001 are imported; continue with --from-line 2001." in refused.stderr
    lines[2200] = '{"ns":"a","name":"p","value":1}'
    file.write_text("\n".join(lines))
    rest = output(database_url, "import", account, file, "--from-line", "2001")
    assert (rest["saved"], rest["skipped"]) == (500, 0)


def test_an_import_reads_the_standard_input(database_url: str) -> None:
    done = run(
        database_url, "import", f"test-{token_hex(6)}", "-", text=b'{"ns":"a","ttlSecond":5}'
    )
    assert (done.exit_code, done.stdout) == (0, "Imported 1 lines; 0 were skipped.\n")


def test_progress_is_shown_on_a_terminal_only(
    database_url: str, account: str, tmp_path: Path
) -> None:
    env = environment(CCS_DATABASE_URL=database_url)
    file = tmp_path / "export.ndjson"
    for command, unit in (("export", b" lines"), ("import", b"B/s")):
        arguments = [*CCS, command, account, str(file)]
        assert unit in _on_terminal(arguments, env)
    quiet = subprocess.run(
        [*CCS, "import", account, str(file)], env=env, capture_output=True, check=True
    )
    assert quiet.stderr == b""


def _on_terminal(arguments: list[str], env: dict[str, str]) -> bytes:
    """Runs a command whose standard error is a terminal, and returns what it writes there."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    with subprocess.Popen(arguments, env=env, stdout=subprocess.DEVNULL, stderr=its) as process:
        os.close(its)
        written = b""
        with suppress(OSError):  # Linux reports the end of a terminal as an error.
            while chunk := os.read(ours, 4096):
                written += chunk
        os.close(ours)
    assert process.returncode == 0, written
    return written
