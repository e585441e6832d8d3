"""Where bytes come from, on Python's side: a local file, or ranges of a URL.

Python itself reads headers only, and tensors only where the browser cannot fetch them. Both readers notice when the file is
no longer the one that was opened.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from webgpu_widget.errors import FormatError, IntegrityError, WeightsError
from webgpu_widget.process.fork import Lock
from webgpu_widget.weights.served_digest import served_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HttpReader", "LocalReader", "NoSuchFileError", "Reader"]

RETRIES = 5
RETRY_WAIT_S = 0.5
MAX_RETRY_WAIT_S = 30.0
TIMEOUT_S = 30.0
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class NoSuchFileError(WeightsError):
    """The server has no such file."""


class Reader(Protocol):
    """A file that is read by ranges, and can say whether it is still the same file."""

    name: str
    size: int
    validator: str

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        ...

    def close(self) -> None:
        """Let go of the file or connection."""
        ...


class LocalReader:
    """Ranges of a local file, which stays open: replacing it by another does not mix the two.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    validator : str
        Changes when the file is written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.name = self.path.name
        self._file: IO[bytes] = self.path.open("rb", buffering=0)
        stat = os.fstat(self._file.fileno())
        self.size = stat.st_size
        self.validator = f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ino:x}"
        self._lock = Lock()

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``.

        Raises
        ------
        IntegrityError
            The file was written to since it was opened.
        FormatError
            The file ends before.
        """
        with self._lock:
            data = os.pread(self._file.fileno(), size, offset) if hasattr(os, "pread") else self._seek(offset, size)
            stat = os.fstat(self._file.fileno())
        if f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ino:x}" != self.validator:
            raise IntegrityError(f"{self.path} was written to while it was being read; load it again")
        if len(data) != size:
            raise FormatError(f"{self.path}: {size} bytes wanted at {offset}, the file has {self.size}")
        return data

    def _seek(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and leaves credentials behind when the host changes."""

    def __init__(self) -> None:
        self.linked = ""
        """The X-Linked-ETag of a redirect: what it leads to."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise WeightsError(f"{req.full_url} redirects to {newurl[:200]!r}, which is not http(s)")
        self.linked = headers.get("X-Linked-ETag") or self.linked
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            new.headers.pop("Authorization", None)
        return new


class HttpReader:
    """Ranges of an http(s) URL.

    A server that ignores ``Range`` is read from the beginning as far as needed; one that lies about what it sends is an
    error. 429, 408 and 5xx are tried again with growing pauses (``Retry-After`` is honoured up to 30 s).

    Parameters
    ----------
    url : str
    headers : mapping, optional
        Sent with each request, such as Authorization; never sent to another host.

    Attributes
    ----------
    size : int
    validator : str
        The ETag, or Last-Modified, or nothing.
    ranges : bool
        Whether the server honours ``Range``.
    sha256 : str
        Of the whole file, where the server gives it; otherwise empty. 128 digits are its SHA-512.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise WeightsError(f"{url[:200]!r} is not an http(s) URL")
        self.url = url
        self.name = urllib.parse.unquote(parts.path.rsplit("/", 1)[-1]) or parts.netloc
        self._headers = dict(headers or {})
        # urllib's default openers also speak file: and ftp:; this one does not.
        self._opener = urllib.request.OpenerDirector()
        handlers = (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            redirects := _HttpOnly(),
        )
        self._redirects = redirects
        for handler in handlers:
            self._opener.add_handler(handler)
        self.ranges = True
        self.size = -1
        self.validator = self.sha256 = ""
        self._head = b""
        self._head = self._fetch(0, 64 * 1024)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``.

        Raises
        ------
        FormatError
            The file ends before.
        IntegrityError
            The file was replaced since it was opened, or the server sends other bytes than it says.
        WeightsError
            The server refuses, or does not answer.
        """
        if offset < 0 or offset + size > self.size:
            raise FormatError(f"{self.url}: {size} bytes wanted at {offset}, the file has {self.size}")
        if offset + size <= len(self._head):
            return self._head[offset : offset + size]
        return self._fetch(offset, size)

    def recheck(self) -> None:
        """Ask once more whether it is the same file.

        Raises
        ------
        IntegrityError
            It was replaced.
        """
        self._fetch(0, min(1, self.size) or 1)

    def close(self) -> None:
        """Forget the prefetched head."""
        self._head = b""

    def _fetch(self, offset: int, size: int) -> bytes:
        reason = ""
        for attempt in range(RETRIES + 1):
            wait = min(RETRY_WAIT_S * 2**attempt, MAX_RETRY_WAIT_S) * (0.75 + random.random() / 2)  # noqa: S311
            try:
                return self._once(offset, size)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _RETRY_STATUS:
                        raise self._refused(error.code, error.headers.get("X-Error-Code", "")) from None
                    reason = f"HTTP {error.code}"
                    wait = _retry_after(error.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException) as error:
                reason = f"{type(error).__name__}: {error}"[:200]
            if attempt < RETRIES:
                time.sleep(wait)
        raise WeightsError(
            f"{self.url} did not send bytes {offset} to {offset + size} in {RETRIES + 1} attempts (last: {reason}); "
            "what has been loaded is kept: try again later"
        )

    def _once(self, offset: int, size: int) -> bytes:
        headers = {**self._headers, "Range": f"bytes={offset}-{offset + size - 1}", "Accept-Encoding": "identity"}
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310  the opener knows http and https only
        with contextlib.closing(self._opener.open(request, timeout=TIMEOUT_S)) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise WeightsError(f"{self.url}: the server compresses in spite of being asked not to")
            if response.status == 206:
                begin, end, total = _content_range(response.headers.get("Content-Range", ""), self.url)
                wanted = min(offset + size, total) if self.size < 0 else offset + size
                if begin != offset or end != wanted:
                    raise IntegrityError(
                        f"{self.url}: asked for bytes {offset} to {wanted}, the server sends {begin} to {end}"
                    )
                self._same(response, total)
                data: bytes = response.read(wanted - offset)
            else:
                self.ranges = False
                length = response.headers.get("Content-Length", "")
                if not _is_number(length):
                    raise WeightsError(
                        f"{self.url}: the server gives neither ranges nor a length; download the file first"
                    )
                self._same(response, int(length))
                wanted = min(offset + size, self.size)
                _skip(response, offset)
                data = response.read(wanted - offset)
            if len(data) != wanted - offset:
                raise http.client.IncompleteRead(data, wanted - offset - len(data))
            return data

    def _same(self, response: http.client.HTTPResponse, total: int) -> None:
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if self.size < 0:
            self.size, self.validator = total, validator
            self.sha256 = served_sha256([("X-Linked-ETag", self._redirects.linked), *response.headers.items()])
        elif (total, validator) != (self.size, self.validator):
            raise IntegrityError(
                f"{self.url} was replaced while it was being read ({self.size} bytes {self.validator} before, {total} bytes "
                f"{validator} now); load it again"
            )

    def _refused(self, code: int, said: str) -> WeightsError:
        """Return the error of a status; ``said`` is what the Hugging Face hub calls it, which answers 401 for all that a stranger may not see."""
        page = self.url.split("/resolve/")[0].replace("/api/models/", "/")
        token = "the token that was sent has no access" if "Authorization" in self._headers else "nobody is logged in"
        known = {
            "RepoNotFound": f"the hub has no repository {page}, or it is private and {token}: check the name, or log in with `hf auth login`",
            "GatedRepo": f"the repository is gated and {token}: accept its terms at {page}, then log in with `hf auth login`",
            "EntryNotFound": f"the repository has no such file: see {page}/tree/main for those that it has",
            "RevisionNotFound": f"the repository has no such revision: see {page} for those that it has",
        }.get(said)
        advice = known or {
            302: "it redirects to an address that is not http(s)",
            401: "it needs credentials: for a Hugging Face model log in with `hf auth login`",
            403: "access is denied: accept the model's terms, or check the token",
            404: "there is no such file: check the address",
            410: "the file is gone: check the address",
            416: "the file is shorter than its header says",
        }.get(code, "check the address in a browser")
        kind = NoSuchFileError if code in (404, 410) else WeightsError
        return kind(f"{self.url} answers HTTP {code}: {advice}")


def _skip(response: http.client.HTTPResponse, size: int) -> None:
    while size:
        block = response.read(min(size, 1 << 20))
        if not block:
            raise http.client.IncompleteRead(b"", size)
        size -= len(block)


def _is_number(text: str) -> bool:
    """Whether text is a count of bytes or seconds: not what else ``str.isdigit`` takes, nor more digits than any file has bytes."""
    return text.isascii() and text.isdigit() and len(text) < 20


def _retry_after(value: str | None, otherwise: float) -> float:
    if value is not None and _is_number(value.strip()):
        return min(float(value), MAX_RETRY_WAIT_S)
    return otherwise


def _content_range(value: str, url: str) -> tuple[int, int, int]:
    unit, _, rest = value.strip().partition(" ")
    span, _, total = rest.partition("/")
    begin, _, last = span.partition("-")
    if unit.lower() != "bytes" or not (_is_number(begin) and _is_number(last) and _is_number(total)):
        raise IntegrityError(f"{url}: 206 with Content-Range {value[:80]!r}")
    if not int(begin) <= int(last) < int(total):
        raise IntegrityError(f"{url}: 206 with the impossible Content-Range {value[:80]!r}")
    return int(begin), int(last) + 1, int(total)
