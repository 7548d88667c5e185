"""The outbound policy against real sockets: a canary server on loopback counts who connects."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import httpx2
import pytest

from knowrithm.net.outbound import MAX_REDIRECTS, OutboundError, OutboundRefusedError, fetch, outbound_client
from knowrithm.net.policy import checked_addresses, is_global

Respond = Callable[[BaseHTTPRequestHandler], None]


class Canary(ThreadingHTTPServer):
    """Counts connections; answers what `pages` says for a path."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Handler)
        self.port = int(self.server_address[1])
        self.connections = 0
        self.hosts: list[str] = []
        self.pages: dict[str, Respond] = {}

    def verify_request(self, request: object, client_address: object) -> bool:
        self.connections += 1
        return True

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Canary

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        self.server.pages.get(self.path, _answer())(self)

    def log_message(self, format: str, *args: object) -> None: ...


def _answer(body: bytes = b"hello", status: int = 200, **headers: str) -> Respond:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


@pytest.fixture
def canary() -> Iterator[Canary]:
    with Canary() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")


# {port} is the canary's: a form that slips through is seen there.
LOOPBACK_URLS = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.255.255.254:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7F.1:{port}/",
    "http://127.0x0.0.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://00.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://127。0。0。1:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:0:0:0:0:80ff:fffe]:{port}/",
]
OTHER_URLS = [
    "http://10.0.0.1/",
    "http://10.255.255.255:8080/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.1.254/admin",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://168.63.129.16/machine/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fdff::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/",
    "ldap://127.0.0.1/",
    "ws://127.0.0.1/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "data:text/html,hello",
    "javascript:alert(1)",
    "//127.0.0.1/",
    "127.0.0.1",
    "",
    "http://",
    "http:///",
    "http://../",
    "http://127.0.0.1:99999/",
    "http://[::1/",
    "http://exa\x00mple/",
]


@pytest.mark.parametrize("url", LOOPBACK_URLS)
def test_no_spelling_of_loopback_is_reached(url: str, canary: Canary) -> None:
    with pytest.raises(OutboundRefusedError) as caught:
        fetch(url.format(port=canary.port), max_bytes=100, timeout=5)
    assert caught.value.permanent
    assert canary.connections == 0


@pytest.mark.parametrize("url", OTHER_URLS)
def test_private_addresses_and_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(OutboundRefusedError):
        fetch(url, max_bytes=100, timeout=5)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "ws://127.0.0.1:{port}/"])
def test_the_client_refuses_what_fetch_refuses(url: str, canary: Canary) -> None:
    with outbound_client(timeout=5) as client, pytest.raises(OutboundRefusedError):
        client.get(url.format(port=canary.port))
    assert canary.connections == 0


def test_proxies_of_the_environment_are_not_used(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.url())
    with pytest.raises(OutboundRefusedError):
        fetch("http://10.0.0.1/", max_bytes=100, timeout=5)
    assert canary.connections == 0


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/secret", "http://[::1]:{port}/", "http://0x7f.2:{port}/"])
@pytest.mark.usefixtures("allowed")
def test_redirect_into_what_is_not_allowed_is_refused(target: str, canary: Canary) -> None:
    canary.pages["/"] = _answer(status=302, Location=target.format(port=canary.port))
    with pytest.raises(OutboundRefusedError):
        fetch(canary.url(), max_bytes=100, timeout=5)
    assert canary.connections == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "ws://127.0.0.1/"])
@pytest.mark.usefixtures("allowed")
def test_redirect_to_another_scheme_is_refused(target: str, canary: Canary) -> None:
    canary.pages["/"] = _answer(status=302, Location=target)
    with pytest.raises(OutboundRefusedError):
        fetch(canary.url(), max_bytes=100, timeout=5)


def test_a_name_that_changes_its_address_is_checked_where_it_connects(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])
    asked: list[str] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", resolve)
    assert checked_addresses("rebind.example", canary.port) == ("93.184.216.34",)
    with pytest.raises(OutboundRefusedError):
        fetch(canary.url(host="rebind.example"), max_bytes=100, timeout=5)
    assert (asked, canary.connections) == (["rebind.example", "rebind.example"], 0)


def test_a_resolver_that_stays_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", lambda *_, **__: release.wait(30))
    try:
        with pytest.raises(OutboundError, match="could not be found in time"):
            fetch("http://silent.example/", max_bytes=100, timeout=0.1)
        assert not release.is_set()
    finally:
        release.set()


def test_allowed_name_is_resolved_once_and_kept_as_host(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setenv("OUTBOUND_ALLOW", "intranet.example, 10.0.0.0/8")
    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", resolve)
    assert fetch(canary.url(host="Intranet.Example"), max_bytes=100, timeout=5).body == b"hello"
    assert asked == ["intranet.example", "127.0.0.1"], "the second look-up is of the checked address itself"
    assert canary.hosts == [f"intranet.example:{canary.port}"]


@pytest.mark.parametrize(
    ("allow", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1/8", "127.0.0.1"),
        ("10.0.0.1, 127.0.0.1", "localhost"),
        ("LocalHost", "localhost"),
        ("localhost.", "LOCALHOST"),
    ],
)
def test_allowed_addresses_networks_and_names(
    allow: str, host: str, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", allow)
    assert fetch(canary.url(host=host), max_bytes=100, timeout=5).status == 200


@pytest.mark.parametrize("allow", ["", " , ", "10.0.0.0/8", "128.0.0.1", "local", "127.0.0.0/33", "::ffff:127.0.0.1"])
def test_what_is_not_allowed_stays_refused(allow: str, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", allow)
    with pytest.raises(OutboundRefusedError):
        fetch(canary.url(), max_bytes=100, timeout=5)
    assert canary.connections == 0


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("93.184.216.34", True),
        ("172.32.0.1", True),
        ("100.128.0.1", True),
        ("169.253.255.255", True),
        ("2606:4700::1111", True),
        ("2a00:1450:4001::1", True),
        ("2001:200::1", True),
        ("169.254.0.1", False),
        ("2001:1::1", False),
        ("4000::1", False),
    ],
)
def test_is_global(address: str, expected: bool) -> None:
    assert is_global(ip_address(address)) is expected


def test_unknown_host_name_is_an_error_not_a_refusal() -> None:
    with pytest.raises(OutboundError, match=r"^The host name does-not-exist\.invalid could not be found\.$") as caught:
        fetch("http://does-not-exist.invalid/", max_bytes=100, timeout=5)
    assert type(caught.value) is OutboundError


@pytest.mark.usefixtures("allowed")
def test_fetch_reports_what_the_server_sent(canary: Canary) -> None:
    canary.pages["/old"] = _answer(status=301, Location="/new%20file.PDF?x=1")
    canary.pages["/new%20file.PDF?x=1"] = _answer(b"%PDF", Content_Type="Application/PDF; charset=x")
    page = fetch(canary.url("/old"), max_bytes=100, timeout=5)
    assert page.url == canary.url("/new%20file.PDF?x=1")
    assert (page.status, page.content_type, page.body, page.filename) == (
        200,
        "application/pdf",
        b"%PDF",
        "new file.PDF",
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('attachment; filename="report.pdf"', "report.pdf"),
        ("attachment; filename*=UTF-8''%C3%A4rger.txt", "ärger.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        (r'attachment; filename="C:\\temp\\a.doc"', "a.doc"),
        ("inline", "page.html"),
        ("attachment; filename=", "page.html"),
    ],
)
@pytest.mark.usefixtures("allowed")
def test_filename(header: str, expected: str, canary: Canary) -> None:
    canary.pages["/a/page.html"] = _answer(Content_Disposition=header)
    assert fetch(canary.url("/a/page.html"), max_bytes=100, timeout=5).filename == expected


@pytest.mark.usefixtures("allowed")
def test_error_status_is_returned(canary: Canary) -> None:
    canary.pages["/"] = _answer(b"gone", status=404)
    page = fetch(canary.url(), max_bytes=100, timeout=5)
    assert (page.status, page.body, page.filename) == (404, b"gone", "")


@pytest.mark.parametrize("is_declared", [False, True])
@pytest.mark.usefixtures("allowed")
def test_too_large_a_body_is_refused_while_it_comes(is_declared: bool, canary: Canary) -> None:
    canary.pages["/"] = _answer(b"x" * 101, Content_Length="101") if is_declared else _answer(b"x" * 101)
    with pytest.raises(OutboundError, match="larger than the 100 bytes") as caught:
        fetch(canary.url(), max_bytes=100, timeout=5)
    assert caught.value.permanent
    canary.pages["/"] = _answer(b"x" * 100)
    assert len(fetch(canary.url(), max_bytes=100, timeout=5).body) == 100


@pytest.mark.usefixtures("allowed")
def test_endless_body_ends_at_the_limit(canary: Canary) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 1000)
        except OSError:
            return

    canary.pages["/"] = respond
    with pytest.raises(OutboundError, match="larger"):
        fetch(canary.url(), max_bytes=100_000, timeout=5)


@pytest.mark.usefixtures("allowed")
def test_redirects_are_bounded(canary: Canary) -> None:
    canary.pages["/"] = _answer(status=302, Location="/")
    with pytest.raises(OutboundError, match="redirects more than 5 times") as caught:
        fetch(canary.url(), max_bytes=100, timeout=5)
    assert caught.value.permanent
    assert len(canary.hosts) == MAX_REDIRECTS + 1


@pytest.mark.usefixtures("allowed")
def test_the_client_follows_redirects_only_when_asked(canary: Canary) -> None:
    canary.pages["/"] = _answer(status=302, Location="/other")
    with outbound_client(timeout=5) as client:
        assert client.get(canary.url()).status_code == 302
    with outbound_client(timeout=5, follow_redirects=True) as client:
        assert client.get(canary.url()).text == "hello"


@pytest.mark.usefixtures("allowed")
def test_silent_and_absent_servers_may_be_tried_again(canary: Canary) -> None:
    release = threading.Event()
    canary.pages["/"] = lambda handler: _wait_and_answer(release, handler)
    with pytest.raises(OutboundError, match="did not answer in time") as silent:
        fetch(canary.url(), max_bytes=100, timeout=0.2)
    release.set()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(OutboundError, match="could not be reached") as absent:
            fetch(f"http://127.0.0.1:{closed.getsockname()[1]}/", max_bytes=100, timeout=5)
    assert [silent.value.permanent, absent.value.permanent] == [False, False]


@pytest.mark.usefixtures("allowed")
def test_slow_drip_ends_at_the_deadline(canary: Canary) -> None:
    release = threading.Event()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not release.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            return

    canary.pages["/"] = respond
    with pytest.raises(OutboundError, match="whole file in time"):
        fetch(canary.url(), max_bytes=10_000, timeout=0.5)
    release.set()


@pytest.mark.usefixtures("allowed")
def test_the_client_raises_the_libraries_own_errors_for_faults(canary: Canary) -> None:
    canary.shutdown()
    canary.server_close()
    with outbound_client(timeout=5) as client, pytest.raises(httpx2.ConnectError):
        client.get(canary.url())


@pytest.mark.usefixtures("allowed")
def test_headers_that_drip_end_at_the_deadline(canary: Canary) -> None:
    release = threading.Event()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not release.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            return

    canary.pages["/"] = respond
    with pytest.raises(OutboundError, match="did not answer in time"):
        fetch(canary.url(), max_bytes=10_000, timeout=0.5)
    release.set()


@pytest.mark.usefixtures("allowed")
def test_what_was_compressed_unasked_is_unpacked_within_the_limit(canary: Canary) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    canary.pages["/bomb"] = _answer(bomb, Content_Encoding="gzip")
    tracemalloc.start()
    with pytest.raises(OutboundError, match="larger than the 100000 bytes"):
        fetch(canary.url("/bomb"), max_bytes=100_000, timeout=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    canary.pages["/"] = _answer(gzip.compress(b"hello"), Content_Encoding="gzip")
    assert fetch(canary.url(), max_bytes=5, timeout=5).body == b"hello"
    for coding, body in (("br", b"x"), ("gzip, gzip", b"x"), ("gzip", b"no gzip")):
        canary.pages["/"] = _answer(body, Content_Encoding=coding)
        with pytest.raises(OutboundError, match=r"compresse") as caught:
            fetch(canary.url(), max_bytes=100, timeout=5)
        assert caught.value.permanent


@pytest.mark.usefixtures("allowed")
def test_one_hop_and_only_wanted_types(canary: Canary) -> None:
    canary.pages["/old"] = _answer(status=301, Location="/new", ETag='"a"')
    page = fetch(canary.url("/old"), max_bytes=100, timeout=5, follow_redirects=False)
    assert (page.status, page.headers["location"], page.headers["etag"]) == (301, "/new", '"a"')
    canary.pages["/film"] = _answer(b"x" * 1000, Content_Type="video/mp4")
    film = fetch(canary.url("/film"), max_bytes=100, timeout=5, is_wanted=lambda kind: kind == "text/html")
    assert (film.content_type, film.body) == ("video/mp4", b"")


def _wait_and_answer(release: threading.Event, handler: BaseHTTPRequestHandler) -> None:
    release.wait(5)
    handler.close_connection = True
