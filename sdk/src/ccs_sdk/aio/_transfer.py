"""Exporting an account to a file, and importing such a file."""

from contextlib import closing
from pathlib import Path

from ccs_sdk._lines import Part, Progress, batches, import_result, path_of_page
from ccs_sdk.aio._ext import AsyncExtension
from ccs_sdk.errors import StatusError
from ccs_sdk.models import ImportResult


async def export(
    extension: AsyncExtension,
    path: Path,
    *,
    namespace: str | None,
    resume: bool,
    progress: Progress | None,
) -> int:
    """Exports to a file, and returns how many lines it has beside those that end pages."""
    with closing(Part(path, resume=resume)) as part:
        is_complete = False
        while not is_complete:
            is_complete = part.add(await extension.fetch(path_of_page(namespace, part.cursor)))
            if progress is not None:
                progress(part.count)
        return part.count


async def import_from(
    extension: AsyncExtension, path: Path, *, keep: bool, from_line: int, progress: Progress | None
) -> ImportResult:
    """Imports the lines of a file, and returns what became of them."""
    saved = skipped = 0
    mode = "keep" if keep else "overwrite"
    with closing(path.open("rb")) as file:
        for first, lines in batches(file, from_line):
            try:
                result = await extension.send_lines(
                    f"/import?mode={mode}", b"".join(lines), import_result
                )
            except StatusError as error:
                if error.line is not None:
                    error.line += first - 1
                raise
            saved, skipped = saved + result.saved, skipped + result.skipped
            if progress is not None:
                progress(first + len(lines) - 1)
    return ImportResult(saved, skipped)
