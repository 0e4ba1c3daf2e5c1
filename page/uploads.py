"""Files that people bring: kept beside the index, indexed one after the other, each with its progress.

Takes bytes and a name; gives `Job`s that the page shows and the API waits for. One thread does the work, so a document dropped in ten
tabs at once is indexed once.
"""

import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from index import Index, LoadError, build
from index.load import INSIDE, SUFFIXES, UPLOADED

MOST_WAITING = 200  # jobs
KEPT = 300  # jobs that are remembered
UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


class UploadError(ValueError):
    """A file that is not taken; the message names it and says why."""


class Cancelled(Exception):
    """The user stopped a job."""


@dataclass(slots=True)
class Job:
    """One file on its way into the index; `state` is waiting, working, done, failed or cancelled."""

    id: str
    name: str
    path: Path
    state: str = "waiting"
    stage: str = ""
    message: str = ""
    document: str = ""
    cancelled: bool = False

    def json(self) -> dict[str, str]:
        """What the page shows."""
        return {name: str(getattr(self, name)) for name in ("id", "name", "state", "stage", "message", "document")}


def safe_name(name: str) -> str:
    """A file name without a path; raises UploadError where the type is not known."""
    bare = UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")[-150:]
    if Path(bare).suffix.lower() not in SUFFIXES:
        raise UploadError(
            f"{bare or 'A file without a name'} is not one of {', '.join(sorted(SUFFIXES))}. Save it as one of them first"
        )
    return bare


class Uploads:
    """The files that were uploaded into one index, below `folder`, and the thread that indexes them."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.folder = index.folder.with_name(f"{index.folder.name}{UPLOADED}")
        self._jobs: dict[str, Job] = {}
        self._queue: Queue[Job] = Queue()
        self._lock = threading.Lock()
        threading.Thread(target=self._work, daemon=True).start()

    def partial(self, name: str) -> tuple[str, Path]:
        """The safe name, and a new file beside the others to write the bytes to."""
        bare = safe_name(name)
        self.folder.mkdir(exist_ok=True)
        return bare, self.folder / f".{secrets.token_hex(8)}.partial"

    def add(self, name: str, written: Path) -> Job:
        """Take a file that `partial` named and that is now whole; its job waits its turn."""
        with self._lock:
            if self._queue.qsize() >= MOST_WAITING:
                written.unlink(missing_ok=True)
                raise UploadError(
                    f"{name} is not taken: {MOST_WAITING} files wait already. Bring it again when they are done"
                )
            job = Job(secrets.token_hex(8), name, written)
            self._jobs[job.id] = job
            for old in list(self._jobs)[:-KEPT]:
                del self._jobs[old]
        self._queue.put(job)
        return job

    def jobs(self) -> list[Job]:
        """Every job that is remembered, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def cancel(self, identity: str) -> bool:
        """Stop a job that has not ended; False where there is none."""
        job = self._jobs.get(identity)
        if job is None or job.state not in ("waiting", "working"):
            return False
        job.cancelled = True
        return True

    def wait(self, job: Job) -> Iterator[Job]:
        """The job again and again until it has ended."""
        while job.state in ("waiting", "working"):
            yield job
            time.sleep(0.1)
        yield job

    def _settle(self) -> None:
        """After a kill: what was half written goes, and the index comes in step with the files."""
        if not self.folder.exists():
            return
        for path in self.folder.glob(".*.partial"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.before"):
            place = self.folder / path.name[1 : -len(".before")]
            path.unlink() if place.exists() else path.replace(place)
        build(self._index, [self.folder])

    def _work(self) -> None:
        try:
            self._settle()
        except (LoadError, OSError) as error:
            print(f"cite: {error}", file=sys.stderr)
        while True:
            job = self._queue.get()
            try:
                self._one(job)
            except Cancelled:
                job.state, job.message = "cancelled", f"{job.name} was not indexed"
            except (LoadError, OSError) as error:
                job.state, job.message = "failed", str(error)
            except Exception as error:  # one bad file must not end the thread that serves all others
                job.state, job.message = "failed", f"{job.name} cannot be indexed ({type(error).__name__}: {error})"
            finally:
                job.path.unlink(missing_ok=True)

    def _one(self, job: Job) -> None:
        """Put the file in its place, index it, and say what that changed; an older file of that name goes when it succeeds."""
        job.state = "working"
        place, before = self.folder / job.name, self.folder / f".{job.name}.before"

        def tell(stage: str, _done: int, _of: int) -> None:
            if job.cancelled:
                raise Cancelled
            job.stage = stage

        tell("reading", 0, 1)
        if place.exists():
            place.replace(before)
        try:
            job.path.replace(place)
            report = build(self._index, [place], tell)
            if report.failed:
                raise LoadError(report.failed[0])
        except BaseException:
            place.unlink(missing_ok=True)
            if before.exists():
                before.replace(place)
            raise
        before.unlink(missing_ok=True)
        own = str(place.resolve())
        entries = [e for e in self._index.catalogue.entries() if e.path == own or e.path.startswith(own + INSIDE)]
        job.state, job.document = "done", entries[0].id if entries else ""
        if report.changed:
            job.message = f"{job.name} replaces its earlier version"
        elif report.unchanged and not entries:
            place.unlink()  # the same bytes are indexed from elsewhere
            job.message = f"{job.name} is indexed already, under another name"
        elif report.unchanged:
            job.message = f"{job.name} is indexed already"
        else:
            job.message = "; ".join([f"{job.name} is indexed", *report.similar])
