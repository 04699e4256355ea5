"""The private name of PyMySQL that is used still means what it did."""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql

from kerastuna.search.compat.pymysql import file_number


def test_a_connection_tells_its_socket_before_the_server_has_answered() -> None:
    own, server = socket.socketpair()
    connection: Any = pymysql.connect(defer_connect=True)
    with own, server, ThreadPoolExecutor(1) as thread:
        connecting = thread.submit(connection.connect, own)
        server.sendall(b"\0")
        while connection._sock is None:
            assert not connecting.done()
        assert file_number(connection) == own.fileno()
        server.shutdown(socket.SHUT_RDWR)
        assert isinstance(connecting.exception(), pymysql.err.OperationalError)
