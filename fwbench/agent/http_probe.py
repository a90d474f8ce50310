"""Send one HTTP request to a contender and return the answer."""

import http.client
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

BODY_LIMIT = 64 * 1024


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in the body of the `with` statement after so many seconds."""
    # A socket's own timeout starts again with each byte.

    def time_out(*_: object) -> None:
        raise TimeoutError("timed out")

    previous_handler = signal.signal(signal.SIGALRM, time_out)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous_handler)


def get(url: str, timeout_s: float) -> dict[str, Any]:
    """Return the answer to one GET: status, content type, body up to 64 KiB; or the error."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        with time_limit(timeout_s):
            connection.request("GET", path, headers={"Accept": "*/*", "Connection": "close"})
            response = connection.getresponse()
            return {
                "status": response.status,
                "content_type": response.headers.get("Content-Type"),
                "body": response.read(BODY_LIMIT).decode("utf-8", "backslashreplace"),
            }
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        connection.close()


def get_until_answered(url: str, timeout_s: float) -> dict[str, Any]:
    """Return the first answer, or the last error if there is no answer within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = get(url, timeout_s=max(0.1, deadline - time.monotonic()))
        if "error" not in answer or time.monotonic() >= deadline:
            return answer
        time.sleep(0.02)
