"""A connection to a database that is cut at the worst moment: after a COMMIT was sent, before its answer is read."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


class Cutter:
    """Stands before a database. It cuts one connection when it is told to."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._cut: str | None = None
        self._skip = self.cuts = 0
        self.on_cut: Callable[[], object] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_commit(self, when: str, skip: int = 0) -> None:
        """Cut the connection at the next COMMIT but `skip`: "after" it has happened, or "before" it is sent."""
        self._skip, self._cut = skip, when

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        is_mute, has_answered = threading.Event(), threading.Event()
        with contextlib.suppress(OSError), client, socket.create_connection(self._server) as server:
            threading.Thread(target=self._hand_back, args=(server, client, is_mute, has_answered), daemon=True).start()
            while asked := client.recv(1 << 16):
                if self._cut is not None and b"COMMIT" in asked:
                    self._skip -= 1
                    if self._skip < 0:
                        when, self._cut = self._cut, None
                        self.cuts += 1
                        is_mute.set()
                        if when == "after":
                            server.sendall(asked)
                            has_answered.wait(5)
                            self.on_cut()
                        server.shutdown(socket.SHUT_RDWR)
                        return
                server.sendall(asked)
            server.shutdown(socket.SHUT_RDWR)

    def _hand_back(
        self, server: socket.socket, client: socket.socket, is_mute: threading.Event, has_answered: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while told := server.recv(1 << 16):
                if is_mute.is_set():
                    has_answered.set()
                else:
                    client.sendall(told)


@contextlib.contextmanager
def cutter(host: str, port: int) -> Iterator[Cutter]:
    """A `Cutter` before the database server at a port of `host`."""
    server = Cutter(host, port)
    try:
        yield server
    finally:
        server.close()
