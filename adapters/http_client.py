"""HTTP requests to others, over asks: the one place that knows asks, and what it needs to be safe.

asks 3.0 is built on anyio 3, which names `trio.MultiError`, gone since trio 0.24; `_mend_trio` gives
the name back. What else is not left to asks:

- TLS always gets a context, because earlier releases skipped verification without one.
- No redirect is followed and no request is repeated: whoever sends decides that.
- No compressed answer is asked for, and an answer is cut off at its bound while it arrives.
- No cookie is read: asks breaks off, and loses the answer, over one that it does not understand.
- A multipart body is made here, because asks writes a file's name without escaping it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import asks
import asks.errors
import asks.request_object
import h11
import trio
from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    aclose_forcefully,
    connect_tcp,
)
from msgspec import Struct

TIMEOUT_S: Final = 60.0
"""How long a whole request may take unless its caller says otherwise."""
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""The longest answer that is read unless its caller says otherwise."""
USER_AGENT: Final = "callwheel"
NO_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""As OpenSSL calls an answer that is no TLS, by its version."""

Failure = Literal["invalid_url", "unreachable", "timeout", "broken_answer", "answer_too_large"]


class HttpFailed(Exception):
    """No answer came that could be used. Whether the request was carried out is not known.

    `code` is a `Failure`, `detail` one sentence for a person.
    """

    def __init__(self, code: Failure, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class HttpAnswer(Struct, frozen=True):
    """What came back, whatever its status."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class HttpClient:
    """Sends requests, each on a connection of its own.

    Args:
        tls: for https; by default the system's authorities are trusted and names are checked.
        timeout_s: how long one request may take, from connecting to the last byte.
        answer_bytes_max: the longest body that is read.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._tls = tls or ssl.create_default_context()
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        connect_to: Sequence[str] | None = None,
    ) -> HttpAnswer:
        """One request and its answer. Raises `HttpFailed`.

        Args:
            connect_to: IP addresses to connect to, the first that takes it, in place of what the URL's host
                resolves to; the host stays in the Host header, in SNI and on the certificate.
        """
        host = _host_of(url)
        _mend_trio()
        _mend_asks()
        received = bytearray()

        async def take(chunk: bytes) -> None:
            await trio.lowlevel.checkpoint()
            received.extend(chunk)
            if len(received) > self._answer_bytes_max:
                detail = f"{host} answered more than {self._answer_bytes_max} bytes."
                raise HttpFailed("answer_too_large", detail)

        sent = {"Host": host, "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        session = _Session(self._tls, connect_to)
        try:
            with trio.fail_after(self._timeout_s):
                answer = await session.request(
                    method,
                    url,
                    headers=sent | dict(headers or {}),
                    data=body,
                    callback=take,
                    retries=0,
                    follow_redirects=False,
                    connection_timeout=self._timeout_s,
                )
        except (trio.TooSlowError, asks.errors.RequestTimeout):
            detail = f"{host} did not answer within {self._timeout_s:g} s."
            raise HttpFailed("timeout", detail) from None
        except ssl.SSLError as error:
            if error.reason in NO_TLS:
                detail = f"{host} does not speak TLS: its address may be one with http://."
                raise HttpFailed("unreachable", detail) from error
            reason = getattr(error, "verify_message", None) or error.reason or "handshake failed"
            raise HttpFailed("unreachable", f"{host} cannot be trusted: {reason}.") from error
        except OSError as error:
            detail = f"{host} cannot be reached: {reason_of(error)}."
            raise HttpFailed("unreachable", detail) from error
        except (BrokenResourceError, ClosedResourceError, EndOfStream) as error:
            raise HttpFailed("unreachable", f"{host} closed the connection.") from error
        except (asks.errors.AsksException, h11.ProtocolError, UnicodeDecodeError) as error:
            raise HttpFailed("broken_answer", f"{host} did not answer in HTTP.") from error
        finally:
            await session.close_connection()
        return HttpAnswer(
            int(answer.status_code),
            {str(name).lower(): str(value) for name, value in answer.headers.items()},
            bytes(received),
        )


class _Session(asks.Session):  # type: ignore[misc]  # asks has no types
    """One connection, to where its caller wants it."""

    def __init__(self, tls: ssl.SSLContext, connect_to: Sequence[str] | None) -> None:
        super().__init__(connections=1, ssl_context=tls)
        self._connect_to = connect_to
        self._connection: Any = None

    async def close_connection(self) -> None:
        """Close it at once, which asks leaves to the garbage collector where a request is cancelled."""
        if self._connection is not None:
            await aclose_forcefully(self._connection)

    async def _open_connection_http(self, location: tuple[str, int]) -> Any:
        return await self._open(location, {})

    async def _open_connection_https(self, location: tuple[str, int]) -> Any:
        tls = {
            "tls": True,
            "ssl_context": self.ssl_context,
            "tls_standard_compatible": False,
            "tls_hostname": location[0].strip("[]"),
        }
        return await self._open(location, tls)

    async def _open(self, location: tuple[str, int], tls: dict[str, Any]) -> Any:
        """Connect as asks does, to the first address that takes it."""
        self._connection = await self._reach(location, tls)
        # As asks marks what it may use.
        self._connection._active = True
        return self._connection

    async def _reach(self, location: tuple[str, int], tls: dict[str, Any]) -> Any:
        *others, last = self._connect_to or (location[0].strip("[]"),)
        for address in others:
            try:
                return await connect_tcp(address, location[1], **tls)
            except ssl.SSLError:
                raise
            except OSError:
                continue
        return await connect_tcp(last, location[1], **tls)


def make_multipart(field: str, file: str, content: bytes, *, boundary: str) -> tuple[str, bytes]:
    """The Content-Type and the body of a form with one file (RFC 7578).

    Args:
        field: name of the form's field.
        file: the file's name; what would break the header is escaped as browsers do (WHATWG HTML,
            multipart/form-data encoding algorithm).
        content: the file's bytes, which must not hold the boundary.
        boundary: 1 to 70 letters and digits.
    """
    mark = boundary.encode("ascii")
    assert b"--" + mark not in content, "a boundary of enough chance does not occur in a file"
    name = file.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body = b"--%b\r\n%b%b\r\n--%b--\r\n" % (mark, head, content, mark)
    return f"multipart/form-data; boundary={boundary}", body


class _Several(Exception):
    """What anyio 3 takes for `trio.MultiError`: only anyio itself makes and raises it.

    Python's own groups must not pass for it. anyio would catch the one in which a cancellation comes out
    of a nursery, and fail in making another of it.
    """

    def __init__(self, exceptions: Sequence[BaseException]) -> None:
        super().__init__(exceptions)
        self.exceptions = tuple(exceptions)


def _mend_trio() -> None:
    """Give anyio 3 the name that trio 0.24 took away."""
    if not hasattr(trio, "MultiError"):
        cast("Any", trio).MultiError = _Several


def _mend_asks() -> None:
    """Keep asks from reading cookies, which nobody here keeps."""
    asks.request_object.parse_cookies = _ignore_cookies


def _ignore_cookies(_answer: Any, _host: str) -> None:
    """In the place of `asks.cookie_utils.parse_cookies`."""


def _host_of(url: str) -> str:
    """The Host header, which asks itself gets wrong for IPv6. Raises `HttpFailed`."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise HttpFailed("invalid_url", f"{url!r} is not an address as http://127.0.0.1:8080.")
    return parts.netloc.rpartition("@")[2]


def reason_of(error: OSError) -> str:
    """The system's own words, which trio and anyio wrap into errors of theirs."""
    inner: BaseException = error
    while isinstance(inner.__cause__, BaseException):
        inner = inner.__cause__
        # Where every address of a name was tried, there is one reason for each.
        inner = getattr(inner, "exceptions", (inner,))[0]
    text = (isinstance(inner, OSError) and inner.strerror) or str(inner) or type(inner).__name__
    # trio puts the address before it, which the sentence names already.
    return text.rpartition(": ")[2]
