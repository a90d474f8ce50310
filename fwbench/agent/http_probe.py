"""What a contender answers to one request."""

import http.client
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

BODY_LIMIT = 64 * 1024


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError once it takes longer; that of a socket begins anew with each byte."""

    def over(*_: object) -> None:
        raise TimeoutError("timed out")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ask(url: str, timeout_s: float) -> dict[str, Any]:
    """What one GET is answered: status, content type, body up to 64 KiB, or the error."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        with within(timeout_s):
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


def ask_until_answered(url: str, for_s: float) -> dict[str, Any]:
    """The first answer, or the last error when `for_s` seconds brought none."""
    deadline = time.monotonic() + for_s
    while True:
        answer = ask(url, timeout_s=max(0.1, deadline - time.monotonic()))
        if "error" not in answer or time.monotonic() >= deadline:
            return answer
        time.sleep(0.02)
