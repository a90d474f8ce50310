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


def test_all_of_the_path_is_asked_for(contender: str) -> None:
    assert http_probe.get(f"{contender}/echo?a=1&b", 5)["body"] == "GET /echo?a=1&b close"


def test_an_answer_without_a_content_type_has_none(serve: Serve) -> None:
    url = serve(lambda s: s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert http_probe.get(url, 5) == {"status": 204, "content_type": None, "body": ""}


def test_of_an_endless_answer_only_64_kib_are_read(serve: Serve) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    assert http_probe.get(serve(flood), 5)["body"] == "x" * 65536


def test_a_refused_port_is_an_error() -> None:
    answer = http_probe.get(refused_url(), 5)
    assert list(answer) == ["error"]
    assert answer["error"].startswith("ConnectionRefusedError: ")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "RemoteDisconnected: "),
        (b"garbage\r\n\r\n", "BadStatusLine: garbage"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "BadStatusLine: "),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "HTTPException: got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000, "LineTooLong: "),
    ],
    ids=["closes-at-once", "no-status-line", "no-status", "headers", "long-line"],
)
def test_an_answer_that_is_none_is_an_error(serve: Serve, said: bytes, error: str) -> None:
    assert http_probe.get(serve(lambda s: s.sendall(said)), 5)["error"].startswith(error)


def test_an_error_is_short(serve: Serve) -> None:
    url = serve(lambda s: s.sendall(b"y" * 5000 + b"\r\n"))
    assert len(http_probe.get(url, 5)["error"]) <= 300


def test_a_server_that_accepts_and_is_silent_is_an_error_in_time(serve: Serve) -> None:
    asked = threading.Event()
    url = serve(lambda _: asked.wait(TIMEOUT_S) and None)
    assert http_probe.get(url, 0.1)["error"].startswith("TimeoutError: ")
    asked.set()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_answers_a_byte_at_a_time_does_not_outlast_the_timeout(
    serve: Serve, head: bytes
) -> None:
    """Each byte comes within the timeout, all of them never do."""
    asked = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while not asked.wait(0.02):
            connection.sendall(b"x")

    stop = threading.Timer(TIMEOUT_S, asked.set)
    stop.start()
    answer = http_probe.get(serve(drip), 0.2)
    in_time = not asked.is_set()
    asked.set()
    stop.cancel()
    stop.join()
    assert answer["error"].startswith("TimeoutError: ")
    assert in_time


@pytest.mark.usefixtures("passing")
def test_asking_goes_on_until_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{"error": "no"}, {"error": "no"}, {"status": 500}, {"status": 200}]
    monkeypatch.setattr(http_probe, "get", lambda *_, **__: answers.pop(0))
    assert http_probe.get_until_answered("http://x/", 2) == {"status": 500}


def test_asking_ends_with_the_last_error_when_its_time_is_over(
    passing: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed_s = []

    def refuse(_: str, timeout_s: float) -> dict[str, str]:
        allowed_s.append(timeout_s)
        return {"error": f"no {len(allowed_s)}"}

    monkeypatch.setattr(http_probe, "get", refuse)
    assert http_probe.get_until_answered("http://x/", 2) == {"error": f"no {len(allowed_s)}"}
    assert 2 <= passing.now < 2.1
    assert allowed_s[0] == 2
    assert all(0.1 <= allowed <= 2 for allowed in allowed_s)
