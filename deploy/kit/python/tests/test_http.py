"""The HTTP client of the background threads."""

import socket
import threading
import unittest

from hallpass._http import Client


class TestClient(unittest.TestCase):
    """Requests to servers that misbehave."""

    def serve(self, start: bytes) -> str:
        """Starts a server that sends the start of a response, and then a byte now and then without end."""
        listener = socket.create_server(("127.0.0.1", 0))
        stop = threading.Event()

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                try:
                    connection.sendall(start)
                    while not stop.wait(0.02):
                        connection.sendall(b"x")
                except OSError:
                    pass  # the client has given up

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(listener.close)
        self.addCleanup(thread.join, 10)
        self.addCleanup(stop.set)
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    def test_slow_response(self) -> None:
        """The timeout is for the whole response, not for each byte of it."""
        for start in (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"):
            with self.subTest(start=start):
                client = Client(self.serve(start), 0.3, 60)
                self.addCleanup(client.close)
                with self.assertRaises(OSError):
                    client.get({}, 1 << 20)

    def test_silent_server(self) -> None:
        """A server that goes silent is given up, although the whole response may take longer."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}/", 600, 0.3)
        self.addCleanup(client.close)
        with self.assertRaises(OSError):
            client.get({}, 1 << 20)


if __name__ == "__main__":
    unittest.main()
