"""An nginx in front that sends artifacts and deltas itself (`X-Accel-Redirect`), as the manual has it."""

import http.client

from mainstay import ARTIFACT, PRODUCT, Server
from nginx import free_port, nginx, nginx_program

LOCATION = "/internal/blobs/"
CONFIG = f'[downloads]\nx_accel_redirect = "{LOCATION}"\n'


def check(binaries, work, report):
    """Asks a server behind nginx, and compares with what the server itself has."""
    work = work / "accelerated"
    (work / "server").mkdir(parents=True)
    (work / "server/mainstay.toml").write_text(CONFIG)
    with Server(binaries, work) as server:
        server.prepare()
        tokens = {contract: server.enrol(contract) for contract in ("paying", "basic")}
        port = free_port()
        locations = f"""
            location / {{ proxy_pass {server.url}; proxy_set_header Host $host; }}
            location {LOCATION} {{
              internal;
              alias {work}/server/blobs/;
              etag off;
              if_modified_since off;
              add_header ETag $upstream_http_etag;
            }}"""
        with nginx(nginx_program(work), work, port, 1, locations):
            Asker(port, tokens, report).check(server)


class Asker:
    """Whoever asks nginx."""

    def __init__(self, port, tokens, report):
        self.port, self.tokens, self.report = port, tokens, report

    def ask(self, method, path, headers=(), contract="paying"):
        """The status, the headers and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        token = self.tokens.get(contract)
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, headers=bearer | dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def check(self, server):
        """Goes through what a client may ask."""
        digest = server.digest("1.1.0")
        path = f"/repo/{PRODUCT}/targets/feature/1.1.0/{digest}.{ARTIFACT}"
        blob = (server.work / "server/blobs/sha256" / digest[:2] / digest).read_bytes()
        tag, length = f'"{digest}"', len(blob)
        row = self.report.row

        status, headers, body = self.ask("GET", path)
        shown = f"{status} {headers.items()}"
        row("nginx: an artifact arrives whole", (status, body) == (200, blob), shown)
        row("nginx: an artifact has its digest as its tag", headers.get_all("ETag") == [tag], shown)
        row("nginx: ranges are offered once", headers.get_all("Accept-Ranges") == ["bytes"], shown)
        row("nginx: the server's address of the file stays inside",
            "X-Accel-Redirect" not in headers and "Server" in headers, shown)
        kept = ("Content-Type", "Cache-Control")
        direct = self.ask("GET", path, {"Range": "bytes=0-"})[1]
        row("nginx: what the server says of a file is kept",
            [headers[name] for name in kept] == [direct[name] for name in kept], shown)
        status, headers, body = self.ask("HEAD", path)
        row("nginx: HEAD says what GET would",
            (status, headers["Content-Length"], headers["ETag"]) == (200, str(length), tag),
            f"{status} {headers.items()}")
        for asked, expected, part in [
                ({"Range": "bytes=5-9"}, 206, blob[5:10]),
                ({"Range": f"bytes={length}-"}, 416, b""),
                ({"Range": "bytes=5-9", "If-Range": tag}, 206, blob[5:10]),
                ({"Range": "bytes=5-9", "If-Range": '"other"'}, 200, blob),
                ({"If-None-Match": tag}, 304, b""),
                ({"If-None-Match": '"other"'}, 200, blob)]:
            status, headers, body = self.ask("GET", path, asked)
            row(f"nginx: {asked} is answered with {expected}",
                (status, body, headers.get_all("ETag") or [tag]) == (expected, part, [tag]),
                f"{status}, {len(body)} bytes, {headers.items()}")
        for contract, asked, expected in [
                ("basic", path, 403), ("nobody", path, 401), ("paying", f"{path}.absent", 404),
                ("paying", f"{LOCATION}sha256/{digest[:2]}/{digest}", 404),
                ("paying", f"/repo/{PRODUCT}/timestamp.json", 200)]:
            status, _, body = self.ask("GET", asked, contract=contract)
            row(f"nginx: {asked} is answered with {expected} to {contract}",
                status == expected and blob not in body, f"{status} {body[:200]}")
