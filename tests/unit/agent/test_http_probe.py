import socket
import threading

import pytest
from agent_environment import TIMEOUT_S, FakeTime, Serve, refused_url

from fwbench.agent import http_probe


def test_an_answer_has_status_content_type_and_body(contender: str) -> None:
    assert http_probe.get(f"{contender}/teapot", 5) == {
        "status": 418,
        "content_type": "text/html; charset=utf-8",
        "body": "Gr\\xfc\\xdfe\\xff",
    }


def test_path_and_query_are_requested(contender: str) -> None:
    assert http_probe.get(f"{contender}/echo?a=1&b", 5)["body"] == "GET /echo?a=1&b close"


def test_missing_content_type_is_none(serve: Serve) -> None:
    url = serve(lambda s: s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert http_probe.get(url, 5) == {"status": 204, "content_type": None, "body": ""}


def test_body_is_read_up_to_64_kib(serve: Serve) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    assert http_probe.get(serve(flood), 5)["body"] == "x" * 65536


def test_refused_connection_is_an_error() -> None:
    answer = http_probe.get(refused_url(), 5)
    assert list(answer) == ["error"]
    assert answer["error"].startswith("ConnectionRefusedError: ")


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", "RemoteDisconnected: "),
        (b"garbage\r\n\r\n", "BadStatusLine: garbage"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "BadStatusLine: "),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "HTTPException: got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000, "LineTooLong: "),
    ],
    ids=["closes-at-once", "no-status-line", "no-status", "headers", "long-line"],
)
def test_malformed_response_is_an_error(serve: Serve, response: bytes, error: str) -> None:
    assert http_probe.get(serve(lambda s: s.sendall(response)), 5)["error"].startswith(error)


def test_length_of_an_error_is_limited(serve: Serve) -> None:
    url = serve(lambda s: s.sendall(b"y" * 5000 + b"\r\n"))
    assert len(http_probe.get(url, 5)["error"]) <= 300


def test_silent_server_times_out(serve: Serve) -> None:
    finished = threading.Event()
    url = serve(lambda _: finished.wait(TIMEOUT_S) and None)
    assert http_probe.get(url, 0.1)["error"].startswith("TimeoutError: ")
    finished.set()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_slow_response_does_not_extend_the_timeout(serve: Serve, head: bytes) -> None:
    """Each byte arrives within the timeout, but the response never ends."""
    finished = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while not finished.wait(0.02):
            connection.sendall(b"x")

    timer = threading.Timer(TIMEOUT_S, finished.set)
    timer.start()
    answer = http_probe.get(serve(drip), 0.2)
    in_time = not finished.is_set()
    finished.set()
    timer.cancel()
    timer.join()
    assert answer["error"].startswith("TimeoutError: ")
    assert in_time


@pytest.mark.usefixtures("fake_time")
def test_requests_are_repeated_until_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{"error": "no"}, {"error": "no"}, {"status": 500}, {"status": 200}]
    monkeypatch.setattr(http_probe, "get", lambda *_, **__: answers.pop(0))
    assert http_probe.get_until_answered("http://x/", 2) == {"status": 500}


def test_last_error_is_returned_after_the_timeout(
    fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts_s = []

    def refuse(_: str, timeout_s: float) -> dict[str, str]:
        timeouts_s.append(timeout_s)
        return {"error": f"no {len(timeouts_s)}"}

    monkeypatch.setattr(http_probe, "get", refuse)
    assert http_probe.get_until_answered("http://x/", 2) == {"error": f"no {len(timeouts_s)}"}
    assert 2 <= fake_time.now < 2.1
    assert timeouts_s[0] == 2
    assert all(0.1 <= timeout_s <= 2 for timeout_s in timeouts_s)
