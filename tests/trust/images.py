"""Builds and runs the image of a Dockerfile on machines without a Docker engine.

A directory represents an image's file system. Containers are made with `chroot` and Linux namespaces. It requires root,
and supports only the instructions of our Dockerfile; any other fails the build.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import dockerfile
import psutil

from tests.support.waiting import wait_until

_STEP_SECONDS = 600
_STOP_SECONDS = 60
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

# What a build gets from its host: name resolution, and the settings of proxy, package index and certificates.
_FILES_OF_HOST = ("/etc/resolv.conf", "/etc/ssl/certs")
_VARIABLES_OF_HOST = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT",
)  # fmt: skip

_MOUNT = """
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
"""
_BUILD = "\n".join(
    [
        _MOUNT,
        *(f'mount --bind {path} "$ROOT{path}"' for path in _FILES_OF_HOST),
        'exec chroot "$ROOT" "$@"',
    ]
)
# As `docker run --network none --read-only --tmpfs /tmp -v $VOLUME:/data` does, with Docker's size of /dev/shm.
_RUN = f"""
{_MOUNT}
mount -t tmpfs -o size=64m shm "$ROOT/dev/shm"
mount --bind "$VOLUME" "$ROOT/data"
mount -o remount,bind,ro "$ROOT"
mount -t tmpfs tmp "$ROOT/tmp"
ip link set lo up
exec chroot --userspec="$IMAGE_USER" "$ROOT" "$@"
"""


@dataclass(frozen=True)
class Image:
    """The file system of an image, and its configuration from the Dockerfile."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(_ENVIRONMENT))
    directory: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def find(self, path: str) -> Path:
        """Returns the location of a path of the image on this machine."""
        return self.root / (Path(self.directory) / path).relative_to("/")


@dataclass(frozen=True)
class Container:
    """A running image."""

    image: Image
    process: subprocess.Popen[str]
    environment: dict[str, str]

    @property
    def init(self) -> psutil.Process:
        """The container's process 1."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def execute(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the container as its user, as `docker exec` does."""
        user, _, group = self.image.user.partition(":")
        return subprocess.run(
            [
                "/usr/bin/nsenter", "--target", str(self.init.pid), "--mount", "--pid", "--net", "--root", "--wd",
                "--setuid", user, "--setgid", group,
                *_clean_environment(self.environment | dict(environment or {})), *command,
            ],
            check=False, capture_output=True, text=True, timeout=_STOP_SECONDS,
        )  # fmt: skip

    def is_healthy(self, **environment: str) -> bool:
        """Returns the result of its HEALTHCHECK."""
        return self.execute(*self.image.healthcheck, environment=environment).returncode == 0

    def stop(self) -> int:
        """Stops the container as `docker stop` does. Returns its exit code."""
        self.init.terminate()
        return self.process.wait(_STOP_SECONDS)


def build(file: Path, base: Path, directory: Path) -> Image:
    """Performs the steps of a Dockerfile in order. Returns the last stage.

    Args:
        file: The Dockerfile. It may copy files from its directory, as .dockerignore allows.
        base: The file system that replaces the base image of every FROM.
        directory: Where the file systems of the stages are created.
    """
    context = _context(file.parent, directory / "context")
    builder = _Builder(base, context, directory)
    for step in dockerfile.parse_file(str(file)):
        take = getattr(builder, {"FROM": "from_"}.get(step.cmd, step.cmd.lower()), None)
        assert take, f"{step.original}: not supported"
        take(*step.value, **dict(flag.removeprefix("--").split("=", 1) for flag in step.flags))
    return builder.image


class _Builder:
    """The instructions as methods, with words as arguments and flags as keywords."""

    def __init__(self, base: Path, context: Path, directory: Path) -> None:
        self.image = Image(base)
        self._base = base
        self._context = context
        self._directory = directory
        self._stages: dict[str, Image] = {}

    def arg(self, _text: str) -> None:
        assert not self._stages, "only the base's name, which says nothing here"

    def from_(self, _base: str, _as: str = "AS", name: str = "last") -> None:
        self.image = Image(self._directory / f"stage-{name}")
        self._stages[name] = self.image
        # Keeps owners, and does not read devices.
        subprocess.run(["/bin/cp", "-a", self._base, self.image.root], check=True)

    def workdir(self, path: str) -> None:
        self.image = replace(self.image, directory=path)
        self.image.find(path).mkdir(parents=True, exist_ok=True)

    def copy(self, *words: str, **flags: str) -> None:
        *sources, target = words
        stage = self._stages[flags["from"]] if flags else None
        found = [stage.find(path) if stage else self._context / path for path in sources]
        _copy_all(found, self.image, target)

    def run(self, command: str) -> None:
        _run(self.image, command)

    def user(self, user: str) -> None:
        self.image = replace(self.image, user=user)

    def env(self, *words: str) -> None:
        self.image.environment.update(zip(words[::2], words[1::2], strict=True))

    def healthcheck(self, cmd: str, *command: str, **_times: str) -> None:
        assert cmd == "CMD"
        self.image = replace(self.image, healthcheck=list(command))

    def entrypoint(self, *command: str) -> None:
        self.image = replace(self.image, entrypoint=list(command))

    def cmd(self, *command: str) -> None:
        self.image = replace(self.image, command=list(command))

    def volume(self, path: str) -> None:
        assert path == "/data", "`running` mounts this one"

    def expose(self, _port: str) -> None:
        """EXPOSE is documentation only."""


@contextmanager
def running(image: Image, volume: Path, **environment: str) -> Iterator[Container]:
    """Runs a container with only a loopback network, on a read-only file system, with a volume at /data."""
    if not any(volume.iterdir()):
        # A new volume gets the owner and mode of the directory in the image.
        shutil.copystat(image.find("/data"), volume)
        owner = image.find("/data").stat()
        os.chown(volume, owner.st_uid, owner.st_gid)
    inside = image.environment | environment
    command = [
        "/usr/bin/unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
        "/bin/sh", "-euc", _RUN, "sh",
        *_clean_environment(inside), *image.entrypoint, *image.command,
    ]  # fmt: skip
    places = {"ROOT": str(image.root), "VOLUME": str(volume), "IMAGE_USER": image.user}
    process = subprocess.Popen(
        command, env={**os.environ, **places}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    with process:
        try:
            # Process 1 has not entered the image until it has executed the entrypoint.
            wait_until(lambda: _has_entered(process, image))
            yield Container(image, process, inside)
        finally:
            # This also kills its child, and so the whole namespace.
            process.kill()


def _has_entered(process: subprocess.Popen[str], image: Image) -> bool:
    assert process.poll() is None, "the container ended before it entered the image"
    children = psutil.Process(process.pid).children()
    return any(child.cmdline()[:1] == image.entrypoint[:1] for child in children)


def _context(source: Path, target: Path) -> Path:
    """Copies the files that .dockerignore allows. It must exclude everything and then name exceptions."""
    rules = (source / ".dockerignore").read_text().split()
    passed = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules == ["*", *(f"!{path}" for path in passed), "**/__pycache__"]
    for path in passed:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if (source / path).is_dir():
            shutil.copytree(
                source / path, target / path, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source / path, target / path)
    return target


def _copy_all(sources: Sequence[Path], image: Image, target: str) -> None:
    destination = image.find(target)
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, destination, symlinks=True, dirs_exist_ok=True)
        else:
            # Several sources require a directory, which ends in a slash.
            assert target.endswith("/") or len(sources) == 1
            place = destination / source.name if target.endswith("/") else destination
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)


def _run(image: Image, command: str) -> None:
    """Performs `RUN command`."""
    assert image.user == "0:0", "a step of another user's is not known here"
    of_host = {name: os.environ[name] for name in _VARIABLES_OF_HOST if name in os.environ}
    step = ["/bin/sh", "-c", f"cd '{image.directory}'\n{command}"]
    done = subprocess.run(
        [
            "/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-euc", _BUILD, "sh",
            *_clean_environment(of_host | image.environment), *step,
        ],
        check=False, text=True, timeout=_STEP_SECONDS, env={**os.environ, "ROOT": str(image.root)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"RUN {command}\n{done.stdout}"


def _clean_environment(environment: Mapping[str, str]) -> list[str]:
    return ["/usr/bin/env", "-i", *(f"{name}={text}" for name, text in environment.items())]
