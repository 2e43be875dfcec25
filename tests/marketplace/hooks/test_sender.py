"""A customer's server on a real connection: whatever it does, a worker is back in time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from marketplace.hooks.sender import Answer, post

pytestmark = pytest.mark.enable_socket
TOTAL = 0.5


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """``served(answer)``: the address of a server that takes one request and then does what ``answer`` does."""
    listening, threads, done = socket.create_server(("127.0.0.1", 0)), [], threading.Event()

    def start(answer: Callable[[socket.socket], None]) -> str:
        def serve() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(65_536)
                try:
                    answer(line)
                except OSError:
                    done.set()  # the other side has hung up

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/hook"

    yield start
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    listening.close()


def drip(head: bytes) -> Callable[[socket.socket], None]:
    """Sends ``head``, and then a byte now and then for as long as anybody listens."""

    def answer(line: socket.socket) -> None:
        line.sendall(head)
        until = time.monotonic() + 15
        while time.monotonic() < until:
            line.sendall(b"a")
            time.sleep(0.05)

    return answer


def test_a_status_is_taken_at_once_whatever_follows_it(served) -> None:
    began = time.monotonic()
    url = served(drip(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n"))
    assert post(url, b"{}", {}, {}, total=5.0) == Answer(202)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"H", b""])
def test_a_server_that_drips_keeps_nobody(served, head: bytes) -> None:
    began = time.monotonic()
    assert post(served(drip(head)), b"{}", {}, {}, total=TOTAL).status == 0
    assert time.monotonic() - began < 8


def test_a_silent_server_is_left_in_time_and_named(served) -> None:
    began = time.monotonic()
    assert post(served(lambda line: time.sleep(3)), b"{}", {}, {}, total=TOTAL) == Answer(0, "TooSlow")
    assert TOTAL <= time.monotonic() - began < 2.5
