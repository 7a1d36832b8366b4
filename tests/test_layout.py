"""Every module of the server has a test file: `test_NAME.py` in the directory of its package, or listed here."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SERVER = TESTS.parent / "server" / "src" / "ccs_server"

COMMAND_LINE = "end_to_end/test_command_line.py"
ONE_STORE = "api/test_one_store.py"

ELSEWHERE = {
    "__main__": COMMAND_LINE,
    "app": "api/test_requests.py",
    "embedded/cluster": "end_to_end/test_embedded.py",
    "embedded/errors": "end_to_end/test_full_disk.py",
    "embedded/locks": "end_to_end/test_embedded_remains.py",
    "embedded/privileges": "end_to_end/test_as_root.py",
    "embedded/processes": "end_to_end/test_embedded_remains.py",
    "embedded/server": "end_to_end/test_embedded.py",
    "http/blueprint": "api/test_openapi.py",
    "api/console": "console/test_files.py",
    "api/docs": "api/test_docs_page.py",
    "api/health": "api/test_service_pages.py",
    "http/access_log": "end_to_end/test_log.py",
    "http/exchanges": "end_to_end/test_log.py",
    "api/accounts": "api/test_quotas.py",
    "api/ext/activity": "api/test_ext_activity.py",
    "api/ext/activity_schemas": "api/test_openapi.py",
    "api/ext/batches": "api/test_operations.py",
    "api/ext/change_queries": "api/test_ext_changes.py",
    "api/ext/change_schemas": "api/test_openapi.py",
    "api/ext/changes": "api/test_ext_changes.py",
    "api/ext/namespace_settings": "api/test_ext_changes.py",
    "api/ext/streams": "api/test_ext_streams.py",
    "api/ext/webhook_schemas": "api/test_openapi.py",
    "api/ext/webhooks": "api/test_ext_webhooks.py",
    "http/name_lookup": "http/test_outbound.py",
    "http/streaming": "api/test_ext_streams.py",
    "serving/streams": "serving/test_granian.py",
    "store/changes": "store/test_sequencing.py",
    "api/ext/find": "api/test_ext_find.py",
    "api/ext/find_schemas": "api/test_openapi.py",
    "api/ext/job_schemas": "api/test_openapi.py",
    "api/ext/jobs": "api/test_ext_jobs.py",
    "api/ext/queries": "api/test_ext_find.py",
    "api/ext/idempotency": "api/test_idempotency.py",
    "api/ext/operations": "api/test_operations.py",
    "api/ext/schemas": "api/test_openapi.py",
    "api/ext/auth": "api/test_ext_keys.py",
    "api/ext/credential_schemas": "api/test_openapi.py",
    "api/ext/keys": "api/test_ext_keys.py",
    "api/ext/lines": "api/test_ext_transfer.py",
    "api/ext/transfer": "api/test_ext_transfer.py",
    "api/ext/transfer_schemas": "api/test_openapi.py",
    "api/ext/numbers": "api/test_ext_keys.py",
    "api/ext/tokens": "api/test_ext_tokens.py",
    "api/ext/blueprint": "api/test_auth.py",
    "api/keys": "api/test_auth.py",
    "api/policy": "api/test_auth.py",
    "http/headers": "trust/test_guard_secrets.py",
    "api/services": "api/test_revocation.py",
    "api/types": "api/test_openapi.py",
    "api/v1/access": "api/test_access.py",
    "api/v1/auth": "api/test_auth.py",
    "api/v1/bodies": "http/test_body.py",
    "api/v1/blueprint": "api/test_v1_namespaces.py",
    "api/v1/namespaces": "api/test_v1_namespaces.py",
    "api/v1/properties": "api/test_v1_properties.py",
    "api/v1/queries": "api/test_access.py",
    "api/v1/schemas": "api/test_openapi.py",
    "api/v1/sessions": "api/test_v1_sessions.py",
    "api/v2/auth": "api/test_auth.py",
    "api/v2/blueprint": "api/test_v2_documents.py",
    "api/v2/documents": "api/test_v2_documents.py",
    "api/v2/login": "api/test_v2_login.py",
    "api/v2/schemas": "api/test_openapi.py",
    "api/tokens": "api/test_v2_login.py",
    "cli/accounts": COMMAND_LINE,
    "cli/audit": COMMAND_LINE,
    "cli/backup": "trust/test_backup.py",
    "cli/common": COMMAND_LINE,
    "cli/distribution": "store/test_distribution.py",
    "cli/quotas": COMMAND_LINE,
    "cli/serve": "end_to_end/test_serve.py",
    "cli/transfer": "end_to_end/test_transfer.py",
    "cli/upkeep": COMMAND_LINE,
    "doctor/finding": "cli/test_doctor.py",
    "domain/access": "api/test_access.py",
    "domain/errors": "api/test_errors.py",
    "domain/limits": "api/test_limits.py",
    "domain/times": COMMAND_LINE,
    "serving/background": "serving/test_upkeep.py",
    "serving/counting": "store/test_counting.py",
    "serving/dispatcher": "trust/test_guard_slow_clients.py",
    "serving/first_process": "end_to_end/test_first_process.py",
    "serving/workers": "serving/test_granian.py",
    "store/condition": "doctor/test_databases.py",
    "store/document": "store/test_deleting.py",
    "store/encryption": "store/test_signing_keys.py",
    "store/jobs/indexing": "store/test_search_index.py",
    "store/writers": "store/test_namespace_settings.py",
    "store/jobs/estimating": "store/jobs/test_erasure.py",
    "store/jobs/matching": "store/jobs/test_erasure.py",
    "store/jobs/taking": "store/jobs/test_erasure.py",
    "store/jobs/work": "store/jobs/test_run.py",
    "store/operations/idempotency": "api/test_idempotency.py",
    "store/operations/leases": "api/test_leases.py",
    "store/operations/partial": "api/test_partial.py",
    "store/operations/reads": "api/test_operations.py",
    "store/operations/writes": "api/test_operations.py",
    "store/standby": "api/test_consistency.py",
    "store/tables": "store/test_schema.py",
}

MODULES = sorted(
    path.relative_to(SERVER).with_suffix("")
    for path in SERVER.rglob("*.py")
    if path.name != "__init__.py" and "migrations" not in path.parts
)


@pytest.mark.parametrize("module", MODULES, ids=Path.as_posix)
def test_every_module_has_a_test_file(module: Path) -> None:
    beside = module.with_name(f"test_{module.name}.py")
    elsewhere = ELSEWHERE.get(module.as_posix())
    if (TESTS / beside).exists():
        assert elsewhere is None, f"{module} has {beside}; remove it from ELSEWHERE."
        return
    assert elsewhere, f"Write tests/{beside}, or add to ELSEWHERE where {module} is tested."
    assert (TESTS / elsewhere).exists(), f"{elsewhere} does not exist."


def test_only_existing_modules_are_listed() -> None:
    assert ELSEWHERE.keys() <= {module.as_posix() for module in MODULES}
