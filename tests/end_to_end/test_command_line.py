"""The commands of `ccs`: their output and their errors."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from pwd import getpwuid
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ccs_server.cli import main
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from ccs_server.store.webhooks import WebhookTerms, create_webhook
from tests.support.service import ccs, environment


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {"CCS_DATABASE_URL": database_url}


def run(*arguments: str, env: dict[str, str]) -> Result:
    """Runs a command in this process, since starting a process for each would be slow."""
    return CliRunner().invoke(main, arguments, env=env, catch_exceptions=False)


def output(*arguments: str, env: dict[str, str]) -> dict[str, Any]:
    """Runs a command with `--json`; returns the JSON object that it prints."""
    done = run(*arguments, "--json", env=env)
    assert (done.exit_code, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    printed: dict[str, Any] = json.loads(line)
    return printed


def test_keys_are_created_listed_replaced_and_revoked(env: dict[str, str]) -> None:
    first = output("keys", "create", "life", env=env)
    assert first.keys() == {"account", "key_id", "key"}
    assert first["key"].startswith(f"ccs_{first['key_id']}_")
    second = output("keys", "create", "life", env=env)
    assert output("keys", "regenerate", "life", env=env) == {
        "account": "life",
        "key_id": second["key_id"],
        "revoked": [first["key_id"]],
    }
    listed = output("keys", "list", "life", env=env)["keys"]
    assert [key["key_id"] for key in listed if key["revoked_at"] is None] == [second["key_id"]]
    assert output("keys", "revoke", "life", "--key-id", second["key_id"], env=env) == {
        "account": "life",
        "revoked": [second["key_id"]],
    }
    assert output("keys", "revoke", "life", "--all", env=env)["revoked"] == []


def test_keys_are_created_with_rights_and_listed_with_them(env: dict[str, str]) -> None:
    plain = output("keys", "create", "rights", env=env)
    namespaces = ("--namespace", "airline", "--namespace", "day_*")
    limits = ("--scope", "read", *namespaces, "--expires-in", "3600", "--label", "reports")
    limited = output("keys", "create", "rights", *limits, env=env)
    admin = output("keys", "create", "rights", "--scope", "admin", env=env)
    listed = {
        key["key_id"]: (key["scope"], key["namespaces"], key["label"], key["expires_at"] is None)
        for key in output("keys", "list", "rights", env=env)["keys"]
    }
    assert listed == {
        plain["key_id"]: ("write", None, "", True),
        limited["key_id"]: ("read", ["airline", "day_*"], "reports", False),
        admin["key_id"]: ("admin", None, "", True),
    }
    text = run("keys", "list", "rights", env=env).stdout
    assert "  read of airline, day_*  expires 2" in text
    assert "Z  reports\n" in text
    assert "  admin\n" in text


def test_a_key_is_rotated_with_an_overlap(env: dict[str, str]) -> None:
    limits = ("--scope", "read", "--namespace", "airline", "--label", "reports")
    old = output("keys", "create", "rotated", *limits, env=env)
    new = output("keys", "rotate", "rotated", old["key_id"], "--overlap", "3600", env=env)
    assert new.keys() == {"account", "key_id", "key"}
    first, second = output("keys", "list", "rotated", env=env)["keys"]
    assert (first["key_id"], second["key_id"]) == (old["key_id"], new["key_id"])
    assert first["expires_at"].endswith("Z")
    assert second["expires_at"] is None
    for name in ("scope", "namespaces", "label", "revoked_at"):
        assert first[name] == second[name]
    run("keys", "rotate", "rotated", new["key_id"], "--overlap", "0", env=env)
    # A key that has ended is not the newest one, nor can it be rotated again.
    kept = output("keys", "regenerate", "rotated", env=env)["key_id"]
    assert kept not in {old["key_id"], new["key_id"]}
    refused = run("keys", "rotate", "rotated", new["key_id"], "--overlap", "0", env=env)
    assert (refused.exit_code, "has no valid key" in refused.stderr) == (1, True)


def test_credentials_are_created_listed_and_revoked(env: dict[str, str]) -> None:
    first = output("credentials", "create", "life", env=env)
    assert first.keys() == {"account", "username", "password"}
    second = output("credentials", "create", "life", env=env)
    revoked = output("credentials", "revoke", "life", "--username", first["username"], env=env)
    assert revoked["revoked"] == [first["username"]]
    assert output("credentials", "revoke", "life", "--all", env=env)["revoked"] == [
        second["username"]
    ]
    listed = output("credentials", "list", "life", env=env)["credentials"]
    assert all(credential["revoked_at"] for credential in listed)


def test_migrate_purge_and_rotate_report_their_results(env: dict[str, str]) -> None:
    assert output("migrate", env=env) == {"schema": schema.CURRENT}
    assert output("purge", env=env).keys() == {
        "properties",
        "session_ttls",
        "search_entries",
        "namespaces",
        "audit_lines",
        "leases",
        "responses",
        "changes",
        "jobs",
        "activity",
    }
    assert output("signing-keys", "rotate", env=env).keys() == {"key_id"}


def test_the_audit_lists_actions_and_actors(env: dict[str, str]) -> None:
    made = output("keys", "create", "audited", env=env)
    output("keys", "revoke", "audited", "--all", env=env)
    operator = f"operator:{getpwuid(os.getuid()).pw_name}"
    lines = output("audit", "audited", env=env)["lines"]
    assert [(line["action"], line["subject"], line["actor"]) for line in lines] == [
        ("key.created", made["key_id"], operator),
        ("key.revoked", made["key_id"], operator),
    ]
    assert {line["account"] for line in lines} == {"audited"}
    revoked_at = lines[1]["recorded_at"]
    assert revoked_at.endswith("Z")
    assert lines[1] in output("audit", env=env)["lines"]
    assert output("audit", "audited", "--since", "2999-01-01", env=env) == {"lines": []}
    assert len(output("audit", "audited", "--since", revoked_at, env=env)["lines"]) == 1
    shown = run("audit", "audited", env=env).stdout.splitlines()
    assert shown[1] == f"{revoked_at}  audited  key.revoked  {made['key_id']}  by {operator}"


def test_signing_keys_are_encrypted_on_demand(empty_database_url: str) -> None:
    env = {"CCS_DATABASE_URL": empty_database_url}
    output("migrate", env=env)
    key_id = output("signing-keys", "rotate", env=env)["key_id"]
    secret = {"CCS_SECRET_KEY": b64encode(b"k" * 32).decode()}
    database = Database(empty_database_url, Settings())
    made = create_webhook(database, "a", "key:1", WebhookTerms("https://bot.example/"))
    database.release()
    encrypted = {"encrypted": [key_id], "webhooks": [made.webhook.id]}
    assert output("signing-keys", "encrypt", env=env | secret) == encrypted
    again = output("signing-keys", "encrypt", env=env | secret)
    assert again == {"encrypted": [], "webhooks": []}


def test_quotas_are_set_shown_counted_and_cleared(empty_database_url: str) -> None:
    # No service is running that would count in this database.
    env = {"CCS_DATABASE_URL": empty_database_url}
    output("migrate", env=env)
    set_ = "--properties", "10", "--bytes", "1000", "--requests", "100/second"
    limits = {"properties": 10, "bytes": 1000, "sessions": None, "requests": "100/second"}
    shown = {"account": "life", "limits": limits, "used": None, "counted_at": None}
    assert output("quotas", "set", "life", *set_, env=env) == {"quotas": [shown]}
    assert output("quotas", "show", "life", env=env) == {"quotas": [shown]}
    assert output("quotas", "show", "nobody", env=env) == {"quotas": []}
    output("quotas", "set", "rate", "--requests", "1/second", env=env)
    for _ in range(2):
        assert output("quotas", "count", env=env) == {"counted": ["life"]}
    (counted,) = output("quotas", "show", "life", env=env)["quotas"]
    assert counted["used"] == {"properties": 0, "bytes": 0, "sessions": 0}
    assert counted["counted_at"].endswith("Z")
    changed = output("quotas", "set", "life", "--bytes", "none", "--sessions", "5", env=env)
    assert changed["quotas"][0]["limits"] == limits | {"bytes": None, "sessions": 5}
    text = run("quotas", "show", env=env).stdout
    assert "life: properties 0 of 10, sessions 0 of 5, requests 100/second; counted " in text
    assert output("quotas", "clear", "life", env=env) == {"account": "life"}
    assert output("quotas", "show", "life", env=env) == {"quotas": []}


def test_openapi_needs_no_database() -> None:
    done = ccs("openapi", env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["openapi"].startswith("3.1")


def test_without_json_a_key_is_printed_on_its_own_line(env: dict[str, str]) -> None:
    lines = run("keys", "create", "person", env=env).stdout.splitlines()
    assert sum(line.startswith("ccs_") and " " not in line for line in lines) == 1


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "sentence"),
    [
        (["keys", "create", "a b"], {}, 2, "An accountId must be"),
        (["keys", "create", "a", "--scope", "root"], {}, 2, "'read', 'write', 'admin'"),
        (["keys", "create", "a", "--namespace", "a*b"], {}, 1, "A namespace must be"),
        (["keys", "create", "a", "--label", "\n"], {}, 1, "A label must be"),
        (["keys", "create", "a", "--expires-in", "0"], {}, 2, "0 is not in the range"),
        (
            ["keys", "create", "a", "--scope", "admin", "--namespace", "b"],
            {},
            2,
            "takes no --namespace",
        ),
        (["keys", "rotate", "a", "x"], {}, 2, "Missing option '--overlap'"),
        (["keys", "rotate", "a", "x", "--overlap", "604801"], {}, 2, "not in the range"),
        (["keys", "rotate", "a", "x", "--overlap", "1"], {}, 1, "has no valid key 'x'."),
        (["keys", "revoke", "a"], {}, 2, "Give either --key-id or --all."),
        (["keys", "revoke", "a", "--key-id", "x"], {}, 1, "Account 'a' has no valid key 'x'."),
        (["credentials", "revoke", "a", "--username", "x"], {}, 1, "no valid credential 'x'"),
        (["signing-keys", "encrypt"], {}, 1, "Set CCS_SECRET_KEY or CCS_SECRET_KEY_FILE"),
        (["audit", "a b"], {}, 2, "An accountId must be"),
        (["audit", "--since", "yesterday"], {}, 2, "must be a date or a time such as 2026-"),
        (["quotas", "set", "a"], {}, 2, "Give at least one of --properties, --bytes,"),
        (["quotas", "set", "a b", "--bytes", "1"], {}, 2, "An accountId must be"),
        (["quotas", "set", "a", "--bytes", "0"], {}, 2, "a whole number from 1 to 9223372036854"),
        (["quotas", "set", "a", "--bytes", "-1"], {}, 2, "or 'none' for no limit"),
        (["quotas", "set", "a", "--sessions", "1.5"], {}, 2, "a whole number from 1"),
        (["quotas", "set", "a", "--sessions", "٣"], {}, 2, "a whole number from 1"),
        (["quotas", "set", "a", "--properties", f"{2**63}"], {}, 2, "a whole number from 1"),
        (["quotas", "set", "a", "--requests", "5"], {}, 2, "a rate such as 100/second"),
        (["quotas", "set", "a", "--requests", "0/second"], {}, 2, "a rate such as 100/second"),
        (["quotas", "set", "a", "--requests", "5/second; 9/hour"], {}, 2, "a rate such as"),
        (["quotas", "clear", "nobody"], {}, 1, "Account 'nobody' has no quota."),
        (["purge"], {"CCS_PURGE_INTERVAL": "often"}, 1, "CCS_PURGE_INTERVAL must be a number"),
        (["purge"], {"CCS_DATABASE_URL": "mysql://u:hidden@h/d"}, 1, "CCS_DATABASE_URL must be"),
        (
            ["migrate"],
            {"CCS_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/d"},
            1,
            "The database cannot be reached",
        ),
    ],
)
def test_an_error_is_reported_as_one_sentence(
    env: dict[str, str], arguments: list[str], settings: dict[str, str], code: int, sentence: str
) -> None:
    failed = run(*arguments, env=env | settings)
    assert (failed.exit_code, failed.stdout) == (code, "")
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in last
    assert "hidden" not in failed.stderr


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "migrate",
        "keys",
        "credentials",
        "quotas",
        "signing-keys",
        "purge",
        "audit",
        "backup",
        "restore",
        "openapi",
    ],
)
def test_every_command_has_help(command: str) -> None:
    helped = run(command, "--help", env={})
    assert helped.exit_code == 0
    assert helped.stdout.startswith(f"Usage: ccs {command} ")


def test_commands_that_need_no_api_start_without_flask() -> None:
    """Its import takes longer than most commands."""
    code = "import sys, ccs_server.cli; print([name for name in ('flask', 'marshmallow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
