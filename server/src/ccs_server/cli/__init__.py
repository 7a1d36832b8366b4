"""The command line `ccs`, for operators. Every command has the option `--json`, for use by programs."""

from ccs_server.cli.accounts import credentials, keys
from ccs_server.cli.audit import audit
from ccs_server.cli.backup import backup, restore
from ccs_server.cli.common import Commands
from ccs_server.cli.demo import demo
from ccs_server.cli.distribution import distribute
from ccs_server.cli.doctor import doctor
from ccs_server.cli.quotas import quotas
from ccs_server.cli.serve import serve
from ccs_server.cli.size import size
from ccs_server.cli.transfer import export, import_
from ccs_server.cli.upkeep import migrate, openapi, purge, signing_keys

main = Commands(
    "ccs",
    help="The open, self-hosted Conversation Context Service. Settings are read from CCS_* variables.",
    commands=[
        serve,
        migrate,
        distribute,
        keys,
        credentials,
        quotas,
        signing_keys,
        purge,
        audit,
        backup,
        restore,
        size,
        doctor,
        demo,
        export,
        import_,
        openapi,
    ],
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
