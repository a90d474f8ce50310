"""A server with known latencies, which can be made to misbehave.

    server.py [--latency NAME] [--FAULT VALUE]...

It answers over HTTP/1.1, with one thread for each connection. The latency of each answer starts at
the request's arrival, so it includes the server's own work.

If CPU time is stolen, the server oversleeps nevertheless. It therefore measures two times for each
request of the load. Both start when the server has read the request, and end

    took     when it passes the answer to the kernel,
    between  when it has read the next request of the same connection.

Every request with keep-alive belongs to the load. After a request that closes its connection, the
server prints lines of JSON with the number of requests for each time in µs. Times of faults are
seconds since the first request of the load.
"""

import argparse
import itertools
import json
import math
import os
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import NormalDist, median

BODY = b"hello"
PORT = 8001
CLOSE_HEADER = b"connection: close"
# Docker splits a line of more than 16 KiB, and fwbench keeps the last 500.
COUNTS_PER_LINE = 500
GOLDEN = (math.sqrt(5) - 1) / 2

LATENCIES = ("constant", "humps", "tail")
HUMPS = (0.85, 0.004, 0.020)
TAIL_MEDIAN_S, TAIL_SIGMA, TAIL_LONGEST_S = 0.005, 0.8, 0.2


def quantile(latency: str, q: float) -> float:
    """Return the true quantile: the seconds within which a share `q` of the answers is sent."""
    if latency == "constant":
        return 0.005
    if latency == "humps":
        share, short_s, long_s = HUMPS
        return short_s if q < share else long_s
    if latency == "tail":
        z = NormalDist().inv_cdf(min(max(q, 1e-9), 1 - 1e-9))
        return min(TAIL_MEDIAN_S * math.exp(TAIL_SIGMA * z), TAIL_LONGEST_S)
    raise ValueError(latency)


def latency_s(latency: str, number: int) -> float:
    """Return one request's latency; multiples of the golden ratio fill 0 to 1 evenly."""
    return quantile(latency, number * GOLDEN % 1)


def lateness_s(nap_s: float) -> float:
    """Return how much longer a sleep takes than requested."""
    began = time.monotonic()
    time.sleep(nap_s)
    return time.monotonic() - began - nap_s


class Server:
    """The state that all connections share: number of requests, start of the load, measurements."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.numbers = itertools.count(1)
        self.load_began: float | None = None
        self.measured_ns: dict[str, list[int]] = {"took": [], "between": []}
        self.leaked: list[bytearray] = []
        self.late_s = median(map(lateness_s, [0.002] * 50))

    def serve(self) -> None:
        listener = socket.create_server(("", PORT), backlog=self.options.backlog)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.handle, args=[connection], daemon=True).start()
            time.sleep(self.options.accept_every)

    def handle(self, connection: socket.socket) -> None:
        before_ns = None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while request := connection.recv(4096):
                arrived, read_ns = time.monotonic(), time.perf_counter_ns()
                is_load = CLOSE_HEADER not in request.lower()
                if is_load and self.load_began is None:
                    self.load_began = arrived
                if before_ns is not None:
                    self.measured_ns["between"].append(read_ns - before_ns)
                before_ns = read_ns
                for _ in range(request.count(b"\r\n\r\n")):
                    number = next(self.numbers)
                    self.sleep_until(self.due(number, arrived))
                    answer = self.answer(number)
                    took_ns = time.perf_counter_ns() - read_ns
                    connection.sendall(answer)
                    if is_load:
                        self.measured_ns["took"].append(took_ns)
                if not is_load:
                    self.print_times()
                if self.options.close:
                    return

    def print_times(self) -> None:
        """Print the measured times of the load."""
        for what, measured_ns in self.measured_ns.items():
            counts = sorted(Counter(round(ns / 1000) for ns in measured_ns).items())
            for at in range(0, len(counts), COUNTS_PER_LINE):
                print(json.dumps({what: dict(counts[at : at + COUNTS_PER_LINE])}), flush=True)

    def sleep_until(self, due: float) -> None:
        nap_s = due - time.monotonic() - self.late_s
        if nap_s > 0:
            time.sleep(nap_s)

    def due(self, number: int, arrived: float) -> float:
        """Return when to send the answer to a request."""
        options, since = self.options, 0.0
        if self.load_began is not None:
            since = arrived - self.load_began
        wait = latency_s(options.latency, number) * (1 + options.slower_by * since)
        if since < options.slow_until:
            wait *= 2
        return self.after_stalls(arrived + wait)

    def after_stalls(self, at: float) -> float:
        """Return `at`, or the end of the stall that it is in; each period ends with a stall."""
        if self.load_began is None or not self.options.stall:
            return at
        length, period = self.options.stall
        into = (at - self.load_began) % period
        return at + period - into if into >= period - length else at

    def answer(self, number: int) -> bytes:
        options = self.options
        status, body = b"200 OK", BODY
        if options.errors_after is not None and number > options.errors_after:
            status = b"500 Internal Server Error"
        if options.other_body_after is not None and number > options.other_body_after:
            body = b"oops!"
        self.leaked.append(bytearray(b"x" * options.leak))
        connection = b"close" if options.close else b"keep-alive"
        head = (
            b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: %b\r\n"
        )
        return head % (status, len(body), connection) + b"\r\n" + body


def supervise() -> None:
    """Return in a worker process; start another one when it ends."""
    while os.fork():
        os.wait()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", default="constant", choices=LATENCIES)
    parser.add_argument("--stall", type=float, nargs=2, metavar=("LENGTH_S", "PERIOD_S"))
    parser.add_argument("--slow-until", type=float, default=0, metavar="S")
    parser.add_argument("--slower-by", type=float, default=0, metavar="SHARE_PER_S")
    parser.add_argument("--errors-after", type=int, metavar="REQUESTS")
    parser.add_argument("--other-body-after", type=int, metavar="REQUESTS")
    parser.add_argument("--close", action="store_true")
    parser.add_argument("--backlog", type=int, default=1024)
    parser.add_argument("--accept-every", type=float, default=0, metavar="S")
    parser.add_argument("--leak", type=int, default=0, metavar="BYTES_PER_REQUEST")
    parser.add_argument("--worker", action="store_true", help="serve in a child process")
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Threads inherit the slack. By default, the kernel may wake them 50 µs late.
    Path("/proc/self/timerslack_ns").write_text("1")
    options = arguments()
    if options.worker:
        supervise()
    Server(options).serve()
