"""A hub on this machine: as much of its protocol as its own library asks for, over repositories held in memory."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+)(/.*)?)?")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
Files = Mapping[str, bytes]


@dataclass
class Hub:
    """What it holds, and whom it heard."""

    repositories: dict[tuple[str, str], Files]  # (models or datasets, name) -> its files
    gated: set[str] = field(default_factory=set)
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)


@contextmanager
def small_hub(hub: Hub) -> Iterator[Hub]:
    """Serve it until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            hub.asked.append(format % arguments)

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_POST(self) -> None:
            self.asked_for = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            if token := self.headers.get("Authorization"):
                hub.tokens.add(token)
            path = unquote(urlsplit(self.path).path)
            if found := FILE.fullmatch(path):
                kind, name, wanted = "datasets" if found[1] else "models", found[2], found[4]
                files = self._open(kind, name)
                if files is None:
                    return
                if wanted not in files:
                    self._send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
                    return
                self._send(200, files[wanted], {"ETag": f'"{oid(files[wanted])}"'}, body=body)
            elif found := API.fullmatch(path):
                files = self._open(found[1], found[2])
                if files is not None:
                    self._send(200, json.dumps(self._described(found, files)).encode(), {}, body=body)
            else:
                self._send(404, b"{}", {})

        def _open(self, kind: str, name: str) -> Files | None:
            if name in hub.gated:
                self._send(401, b'{"error": "gated"}', {"X-Error-Code": "GatedRepo"})
                return None
            if (kind, name) not in hub.repositories:
                self._send(401, b'{"error": "absent"}', {"X-Error-Code": "RepoNotFound"})
                return None
            return hub.repositories[kind, name]

        def _described(self, found: re.Match[str], files: Files) -> object:
            rows = [
                {"type": "file", "path": name, "size": len(text), "oid": oid(text)}
                for name, text in files.items()
            ]
            if found[3] == "tree":
                return rows
            if found[3] == "paths-info":
                return [row for row in rows if str(row["path"]) in self.asked_for]
            return {"id": found[2], "sha": COMMIT, "private": False, "gated": False, "disabled": False, "tags": [],
                    "downloads": 0, "likes": 0, "siblings": [{"rfilename": name} for name in files]}  # fmt: skip

        def _send(
            self, status: int, content: bytes, headers: Mapping[str, str], *, body: bool = True
        ) -> None:
            self.send_response(status)
            for name, value in {
                "X-Repo-Commit": COMMIT,
                "Content-Type": "application/json",
                **headers,
            }.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body and self.command != "HEAD":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def oid(content: bytes) -> str:
    """As git names a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
