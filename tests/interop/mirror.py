"""A web server on this machine that hands on files, and changes them where it is told to."""

import http.server
import sys
import threading
import urllib.error
import urllib.request

ANSWER_SECONDS_MAX = 30


class Threads(http.server.ThreadingHTTPServer):
    """A thread for each connection; one that the client drops is no error."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Mirror:
    """Answers as `answer(path, authorization)` does: with a status and the bytes of a body.

    Who takes zstd gets it where `compressed(body)` makes it of a body.

    `changes` are pairs: whether a path is meant, and what becomes of its bytes. `sent` counts the
    bytes of all answers, heads included.
    """

    def __init__(self, answer, compressed=lambda _: None):
        self.changes, self.sent = [], 0

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection, kept as long as the client likes."""

            protocol_version = "HTTP/1.1"
            # Head and body are two writes, and the second one must not wait for the first one's
            # acknowledgement.
            disable_nagle_algorithm = True

            def setup(handler):
                """Counts what is written from here on."""
                super().setup()
                write = handler.wfile.write

                def counted(data):
                    self.sent += len(data)
                    return write(data)

                handler.wfile.write = counted

            def do_POST(handler):
                """Answers one request whose body does not matter."""
                handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
                handler.do_GET()

            def do_GET(handler):
                """Answers one request."""
                status, body = answer(handler.path, handler.headers.get("Authorization"))
                for is_meant, change in self.changes:
                    if status == 200 and is_meant(handler.path):
                        body = change(body)
                handler.send_response(status)
                if "zstd" in handler.headers.get("Accept-Encoding", ""):
                    shorter = compressed(body)
                    if shorter is not None:
                        body = shorter
                        handler.send_header("Content-Encoding", "zstd")
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                try:
                    handler.wfile.write(body)
                except ConnectionError:
                    # It has seen enough, for example more bytes than were announced.
                    handler.close_connection = True

            def log_message(self, *_):
                """Says nothing."""

        self._server = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def upstream(url, token):
    """Asks the server at `url`, with `token` where the client brings no credential of its own."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answer(path, authorization):
        headers = {"Authorization": authorization or f"Bearer {token}"}
        request = urllib.request.Request(url + path, headers=headers)
        try:
            with opener.open(request, timeout=ANSWER_SECONDS_MAX) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return answer


def files_of(files):
    """Answers with what the dictionary `files` has under a path."""
    def answer(path, _):
        body = files.get(path)
        return (404, b"") if body is None else (200, body)

    return answer


def flipped(body):
    """One bit of it is another one: in what is signed, where something is."""
    start = max(body.find(b'"signed"'), 0)
    at = (start + len(body)) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]


def signature_flipped(body):
    """One bit of the first signature is another one."""
    at = body.index(b'"sig"') + 10
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]


def cut(body):
    """Its last byte is missing."""
    return body[:-1]


def padded(body):
    """More follows than anybody would have it be."""
    return body + b" " * (12 << 20)


def empty(_):
    """Nothing comes."""
    return b""
