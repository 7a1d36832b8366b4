"""A collector of traces that takes everything and keeps nothing: `python -m benchmarks.stacks.collector PORT`."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def collector(port: int) -> ThreadingHTTPServer:
    """Returns a collector that serves when it is told to."""
    return ThreadingHTTPServer(("127.0.0.1", port), _Handler)


def main() -> None:
    collector(int(sys.argv[1])).serve_forever()


if __name__ == "__main__":
    main()
