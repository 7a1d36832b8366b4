"""Jobs: erasures and deletions of many sessions, which the service carries on by itself."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Literal

from ccs_sdk import _paths, _queries, _wire
from ccs_sdk._json import JSON
from ccs_sdk._names import Names, check_namespace, check_segment, check_text
from ccs_sdk._progress import shown
from ccs_sdk._states import Job
from ccs_sdk.aio._concurrency import sleep
from ccs_sdk.aio._ext import AsyncExtension
from ccs_sdk.errors import ConflictError, JobFailedError

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0


class AsyncJobHandle:
    """A job of the account."""

    __slots__ = ("_extension", "_info")

    def __init__(self, extension: AsyncExtension, info: Job) -> None:
        self._extension = extension
        self._info = info

    def __repr__(self) -> str:
        return f"<AsyncJobHandle of {self._info.id}, {self._info.state}>"

    @property
    def info(self) -> Job:
        """The job as the service last told of it."""
        return self._info

    @property
    def id(self) -> str:
        """The id of the job, for `client.jobs.get`."""
        return self._info.id

    async def refresh(self) -> Job:
        """Asks the service for the job, and returns it."""
        self._info = await self._extension.get(_path(self._info.id), _wire.job)
        return self._info

    async def wait(self, *, progress: bool | Callable[[Job], object] = False) -> Job:
        """Waits until the job has ended, and returns it.

        The service does not need this: a job goes on without it, also if this program ends.

        Args:
            progress: Whether to show on standard error how far the job is; or a function that is called
                with the job whenever the service has told of it.

        Raises:
            JobFailedError: The job has failed, or was canceled.
        """
        show = shown(progress)
        pause = _FIRST_PAUSE
        show(self._info)
        while not self._info.has_ended:
            await sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            show(await self.refresh())
        if self._info.state != "done":
            raise JobFailedError(f"The job {self._info.id} is {self._info.state}.", job=self._info)
        return self._info

    async def cancel(self) -> Job:
        """Cancels the job, and returns it. What it has done stays done.

        Raises:
            ConflictError: It has ended before.
        """
        try:
            await self._extension.delete(_path(self._info.id))
        except ConflictError:
            # An earlier attempt of this request may have canceled it.
            if (await self.refresh()).state != "canceled":
                raise
        return await self.refresh()


class AsyncJobs:
    """The jobs of the account. Every method needs a client whose key has the scope `admin`."""

    __slots__ = ("_extension",)

    def __init__(self, extension: AsyncExtension) -> None:
        self._extension = extension

    def __repr__(self) -> str:
        return f"<AsyncJobs of {self._extension.path}>"

    async def list(self) -> AsyncIterator[Job]:
        """Iterates over the jobs, the newest first. The service keeps them for 395 days."""
        after: str | None = None
        while True:
            cursor = "" if after is None else f"?{_paths.filters([('after', after)])[1:]}"
            page, after = await self._extension.get(f"/jobs{cursor}", _wire.page_of_jobs)
            for job in page:
                yield job
            if after is None:
                return

    async def get(self, job_id: str) -> AsyncJobHandle:
        """Returns a job."""
        return AsyncJobHandle(self._extension, await self._extension.get(_path(job_id), _wire.job))

    async def erase(  # noqa: PLR0913 - every member is written out
        self,
        *,
        session_id: Names | str | None = None,
        name: Names | str | None = None,
        value: Names | str | None = None,
        contains: bool = False,
        scope: Literal["property", "session"] = "property",
        namespaces: Names | str | None = None,
        reference: str = "",
        dry_run: bool = False,
    ) -> AsyncJobHandle:
        """Begins to erase; see `AsyncContextClient.erase`."""
        body = _queries.erasure(
            session_id, name, value, contains=contains, scope=scope, namespaces=namespaces
        )
        return await self._create(body, reference, dry_run=dry_run)

    async def delete_sessions(
        self,
        namespace: str,
        *,
        where: Mapping[str, JSON] | None = None,
        prefix: str = "",
        reference: str = "",
        dry_run: bool = False,
    ) -> AsyncJobHandle:
        """Begins to delete sessions; see `AsyncNamespaceHandle.delete_sessions`."""
        body: dict[str, JSON] = {
            "kind": "delete",
            "ns": check_namespace(namespace),
            **_queries.query(where, prefix),
        }
        return await self._create(body, reference, dry_run=dry_run)

    async def _create(
        self, body: Mapping[str, JSON], reference: str, *, dry_run: bool
    ) -> AsyncJobHandle:
        terms: dict[str, JSON] = {
            "reference": check_text(reference, "A reference"),
            "dryRun": dry_run,
        }
        job = await self._extension.post("/jobs", {**body, **terms}, _wire.job, keyed=True)
        return AsyncJobHandle(self._extension, job)


def _path(job_id: object) -> str:
    return f"/jobs/{_paths.segment(check_segment(job_id, 'A job id'))}"
