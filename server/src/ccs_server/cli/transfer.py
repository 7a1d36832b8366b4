"""`ccs export` and `ccs import`: moves what an account stores to a file, and from there to any account."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import click
from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder
from tqdm import tqdm

from ccs_server.cli.common import account_argument, as_json_option, opened_store, say
from ccs_server.domain.errors import ContextError
from ccs_server.domain.limits import MAX_EXPORT_LINES, MAX_IMPORT_DOCUMENTS
from ccs_server.domain.names import check_namespace
from ccs_server.store.database import Database
from ccs_server.store.exporting import Export, export_page
from ccs_server.store.importing import Import, Imported, import_all

_LINES_AT_ONCE = MAX_IMPORT_DOCUMENTS
_BYTES_AT_ONCE = 1 << 20


class _Mark(Struct, forbid_unknown_fields=True):
    """The last line of a page that is not the last one."""

    next: str


_mark = Decoder(_Mark)


@click.command("export")
@account_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--namespace", help="Export this namespace only.")
@click.option("--resume", is_flag=True, help="Continue an export to FILE that was interrupted.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@as_json_option
def export(  # noqa: PLR0913 - each option of the command
    account: str, file: Path, *, namespace: str | None, resume: bool, force: bool, as_json: bool
) -> None:
    """Write all that an account stores to FILE, as lines of JSON.

    The service may run meanwhile. FILE appears when it is complete; until then, its name ends with '.part'.
    """
    if file.exists() and not force:
        raise click.ClickException(
            f"{file} exists; name another file, or replace this one with --force."
        )
    if namespace is not None:
        check_namespace(namespace, "namespace")
    wanted = Export(account, namespace=namespace)
    part = file.with_name(f"{file.name}.part")
    try:
        with opened_store() as opened, _opened_part(part, resume=resume) as text:
            count = _export(opened.database, wanted, text)
            os.fsync(text.fileno())
        part.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written ({error.strerror}).") from error
    said = {"account": account, "file": str(file), "lines": count}
    say(said, f"Exported {count:,} lines to {file}.", as_json=as_json)


@click.command("import")
@account_argument
@click.argument("file", type=click.File("rb"))
@click.option("--keep", is_flag=True, help="Leave what the account has already as it is.")
@click.option(
    "--from-line", type=click.IntRange(1), default=1, help="Leave out the lines before this one."
)
@as_json_option
def import_(account: str, file: IO[bytes], *, keep: bool, from_line: int, as_json: bool) -> None:
    """Save the lines of an export in FILE to an account; '-' is the standard input.

    What the account has already is overwritten. To repeat an import is harmless.
    """
    saved = skipped = 0
    with opened_store() as opened, _bar(total=_size(file), unit="B") as bar:
        for first, lines in _batches(file, from_line, bar):
            try:
                imported = _import(opened.database, account, lines, keep=keep)
            except ContextError as error:
                _report(error, file.name, first)
            saved, skipped = saved + imported.saved, skipped + imported.skipped
    said = {"account": account, "saved": saved, "skipped": skipped}
    say(said, f"Imported {saved:,} lines; {skipped:,} were skipped.", as_json=as_json)


def _export(database: Database, wanted: Export, text: IO[bytes]) -> int:
    """Writes the pages that follow those in `text`; returns how many lines it then has beside those that end pages."""
    # Imported here because the API needs Flask, whose import takes longer than most commands.
    from ccs_server.api.ext.lines import read_cursor, write_page  # noqa: PLC0415

    count, cursor = _resume(text)
    after = read_cursor(cursor, wanted) if cursor else None
    with _bar(initial=count, unit=" lines") as bar:
        while True:
            page = export_page(database, wanted, after=after, limit=MAX_EXPORT_LINES)
            text.write(write_page(page, wanted))
            text.flush()
            lines = page.lines.count(b"\n") + bool(page.lines)
            count += lines
            bar.update(lines)
            if page.last is None:
                return count
            after = page.last


def _opened_part(path: Path, *, resume: bool) -> IO[bytes]:
    """Opens the file of an export that is not complete. It contains customers' data, so only its owner can read it."""
    flags = os.O_RDWR | os.O_CREAT | (0 if resume else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "r+b")


def _resume(text: IO[bytes]) -> tuple[int, str | None]:
    """Cuts off what follows the last whole page; returns how many lines are left, and where the next page begins."""
    count = lines = end = place = 0
    cursor: str | None = None
    for line in text:
        place += len(line)
        try:
            cursor = _mark.decode(line).next
        except (DecodeError, ValidationError):
            count += 1
        else:
            lines, end = count, place
    text.seek(end)
    text.truncate()
    return lines, cursor


def _import(database: Database, account: str, lines: bytes, *, keep: bool) -> Imported:
    from ccs_server.api.ext.lines import read_lines  # noqa: PLC0415 - as above

    given = Import(account, keep)
    read_lines(lines, given, lambda _: None)
    return import_all(database, given)


def _report(error: ContextError, name: str, first: int) -> NoReturn:
    """Fails with the line of the file that was refused, if it was one, and with what to do."""
    line = error.members.get("line")
    place = f"{name}, line {first + line - 1}: " if isinstance(line, int) else ""
    raise click.ClickException(
        f"{place}{error.message} The lines before {first} are imported; continue with --from-line {first}."
    ) from error


def _batches(file: IO[bytes], from_line: int, bar: "tqdm[NoReturn]") -> Iterator[tuple[int, bytes]]:
    """The lines of a file, several at once, each time with the number of the first."""
    first, lines, size = from_line, list[bytes](), 0
    for number, line in enumerate(file, 1):
        bar.update(len(line))
        if number < from_line:
            continue
        if lines and (len(lines) == _LINES_AT_ONCE or size + len(line) > _BYTES_AT_ONCE):
            yield first, b"".join(lines)
            first, lines, size = number, [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield first, b"".join(lines)


def _size(file: IO[bytes]) -> int | None:
    """The size of a regular file; None for a pipe."""
    if not file.seekable():
        return None
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _bar(*, unit: str, total: int | None = None, initial: int = 0) -> "tqdm[NoReturn]":
    """A progress bar on the terminal; nothing if the standard error is none."""
    return tqdm(total=total, initial=initial, unit=unit, unit_scale=True, disable=None)
