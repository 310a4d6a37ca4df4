"""A web server on loopback that serves bytes, and can misbehave in the ways of real ones; archives to serve."""

import io
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def tar(*members: tuple[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    """A .tar.gz of (name, content), and of a symbolic link (name, where it leads)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link[0])
            info.type, info.linkname = tarfile.SYMTYPE, link[1]
            file.addfile(info)
    return buffer.getvalue()


def zipped(*members: tuple[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    """The same as a .zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members:
            file.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link[0])
            info.create_system, info.external_attr = 3, 0o120777 << 16
            file.writestr(info, link[1])
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """``files``: path -> content. ``requests``: (path, Range header) of each request.

    ``headers``: sent with each file (ETag, Last-Modified). ``cut``: how many replies break off in the middle.
    ``ranges``: whether the server knows them. ``place``: a Content-Range to send in place of the right one ("" for
    none).
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.headers, self.cut, self.ranges, self.place = {}, [], {}, 0, True, None
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        web, wanted = self.server, self.headers.get("Range")
        web.requests.append((self.path, wanted))
        content = web.files.get(self.path)
        if content is None:
            return self.send_error(404)
        start = int(wanted[6:-1]) if wanted and web.ranges else 0
        condition = self.headers.get("If-Range")
        if condition is not None and condition not in web.headers.values():
            start = 0
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start and web.place != "":
            self.send_header("Content-Range", web.place or f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in web.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content)
        if web.cut:
            web.cut -= 1
            end = start + (end - start) // 2
        self.wfile.write(content[start:end])

    def log_message(self, *args):
        pass
