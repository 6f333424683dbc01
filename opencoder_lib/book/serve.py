"""Serve the built book on this machine."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from opencoder_lib.book.project import Project
from opencoder_lib.errors import InputError
from opencoder_lib.store import project_root

HOST = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args) -> None:
        """One line a request would bury the address."""

    def end_headers(self) -> None:
        # A book built again must not be read from the browser's cache.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def make_server(project: Project, port: int) -> ThreadingHTTPServer:
    """A server of build/<profile>/html on 127.0.0.1. Raises InputError if there is no book or the port is taken."""
    html = project.build / "html"
    if not (html / "index.html").is_file():
        raise InputError(
            f"There is no book to serve: {html.relative_to(project.root)}/index.html does not exist. "
            f"Build it first: opencoder book --profile {project.profile}"
        )
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Quiet, directory=str(html)))
    except OSError as error:
        raise InputError(f"Port {port} cannot be used ({error.strerror}). Try: opencoder serve --port 0") from None


def serve_book(profile: str, port: int) -> None:
    """Serve until Ctrl-C."""
    project = Project(project_root(), profile)
    project.settings()
    with make_server(project, port) as server:
        print(f"The book is at http://{HOST}:{server.server_port}/  (Ctrl-C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
