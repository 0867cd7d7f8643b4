"""The download stage against a real HTTP server on the loopback that misbehaves in the ways servers do."""

import errno
import hashlib
import io
import os
import posixpath
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
import skimage
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from sa_sr.data import fetch, packages
from sa_sr.data.archives import is_inside, member
from sa_sr.data.assets import Asset, Installed, Local, PackageFile, Source, Url, find, known
from sa_sr.data.fetch import download
from sa_sr.errors import Refused, UserError

PHOTO = (Path(skimage.__file__).parent / "data" / "rocket.jpg").read_bytes()
NEVER = "http://127.0.0.1:9/nothing"  # the discard port: refused at once


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def asset(*sources: Source, data: bytes = PHOTO) -> Asset:
    return Asset(about="a rocket", licence="public domain", sha256=sha(data), bytes=len(data), sources=sources)


# ------------------------------------------------------------------------------------------------- the server


@dataclass
class Page:
    data: bytes = b""
    ranges: bool = True
    etag: str | None = None
    modified: str | None = None
    endless: bool = False  # the data again and again, without a length
    pause: float = 0.0  # seconds after each time
    cuts: list[int] = field(default_factory=list)  # connection lost after so many bytes, one request after another
    statuses: list[int] = field(default_factory=list)  # failures before the first answer
    location: str | None = None
    user: str | None = None  # name:password that it wants
    wait: float = 0.0
    type: str = "application/octet-stream"


class Site:
    """Pages by path, and a record of what was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                site.answer(self)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.hung_up = threading.Event()  # a client went away amid an answer
        self.server.handle_error = lambda request, client_address: self.hung_up.set()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __getitem__(self, path: str) -> list[dict[str, str]]:
        """Headers of the requests for `path`."""
        return [headers for asked, headers in self.asked if asked == path]

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        page, headers = self.pages.get(to.path, Page(statuses=[404])), self[to.path][-1]
        time.sleep(page.wait)
        if page.user and headers.get("authorization") != f"Basic {b64encode(page.user.encode()).decode()}":
            return self.send(to, 401, b"who are you?", {"WWW-Authenticate": "Basic"})
        if page.statuses:
            return self.send(to, page.statuses.pop(0), b"an error page")
        if page.location:
            return self.send(to, 302, b"", {"Location": page.location})
        if page.endless:
            return self.send_without_end(to, page)
        extra = {"ETag": page.etag} if page.etag else {}
        extra |= {"Last-Modified": page.modified} if page.modified else {}
        start = int(headers["range"][6:-1]) if page.ranges and "range" in headers else 0
        if headers.get("if-range", page.etag) != page.etag:
            start = 0
        if start and start >= len(page.data):
            return self.send(to, 416, b"", {"Content-Range": f"bytes */{len(page.data)}"})
        if start:
            extra["Content-Range"] = f"bytes {start}-{len(page.data) - 1}/{len(page.data)}"
        extra["Content-Type"] = page.type
        self.send(to, 206 if start else 200, page.data[start:], extra, page.cuts.pop(0) if page.cuts else None)

    def send_without_end(self, to: BaseHTTPRequestHandler, page: Page) -> None:
        to.send_response(200)
        to.send_header("Connection", "close")
        to.end_headers()
        while True:
            to.wfile.write(page.data)
            time.sleep(page.pause)

    def send(
        self,
        to: BaseHTTPRequestHandler,
        code: int,
        data: bytes,
        extra: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        to.send_response(code)
        for key, value in {"Content-Length": str(len(data)), **(extra or {})}.items():
            to.send_header(key, value)
        to.end_headers()
        to.wfile.write(data[:cut])
        to.close_connection = cut is not None


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(autouse=True)
def pip(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """pip's settings as the test wants them, and no waiting between attempts."""
    settings = {"no-index": "true"}
    monkeypatch.setattr(packages, "settings", lambda: settings)
    monkeypatch.setattr(packages, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "*")
    yield settings
    if settings != {"no-index": "true"}:  # making a client takes a while: it stays for the next test if it can
        packages.client.cache_clear()


def refused(name: str, wanted: Asset, target: Path) -> str:
    """The message of a download that must fail, which leaves nothing at the target and is one line."""
    with pytest.raises(UserError) as caught:
        download(name, wanted, target)
    message = str(caught.value)
    assert name in message
    assert wanted.sha256 in message
    assert str(target) in message  # what to do: put it there
    assert "\n" not in message
    left = {p.name for p in target.parent.rglob("*") if p.is_file()}
    assert not {name for name in left if name == target.name or name.endswith(".tmp")}
    return message


def cached(target: Path) -> list[str]:
    """What the cache beside `target` holds, apart from locks."""
    folder = target.parent / ".packages"
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock") if folder.exists() else []


# -------------------------------------------------------------------------------------------------- plain files


def test_a_file_arrives_and_leaves_nothing_in_the_cache(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO)
    target = tmp_path / "new" / "rocket.jpg"
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), target)
    assert target.read_bytes() == PHOTO
    assert cached(target) == []
    assert "range" not in site["/rocket.jpg"][0]


def test_a_target_that_is_right_is_not_fetched_again(tmp_path: Path) -> None:
    target = tmp_path / "rocket.jpg"
    target.write_bytes(PHOTO)
    before = target.stat().st_mtime_ns
    download("rocket.jpg", asset(Url(url=NEVER)), target)
    assert target.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_wrong_target_is_replaced(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO)
    (tmp_path / "rocket.jpg").write_bytes(PHOTO[:-1])
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO


def test_a_failure_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "rocket.jpg").write_bytes(b"something older")
    with pytest.raises(UserError):
        download("rocket.jpg", asset(Url(url=NEVER)), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == b"something older"


def test_a_cut_connection_is_resumed_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO, cuts=[50_000], etag='"v1"')
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    first, second = site["/rocket.jpg"]
    assert "range" not in first
    assert second["range"] == "bytes=50000-"
    assert second["if-range"] == '"v1"'


def test_the_next_run_resumes_what_the_last_one_left(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO, cuts=[30_000, 30_000, 30_000])
    wanted, target = asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg"
    refused("rocket.jpg", wanted, target)
    assert [(target.parent / ".packages" / p).stat().st_size for p in cached(target)] == [90_000]
    download("rocket.jpg", wanted, target)
    assert target.read_bytes() == PHOTO
    assert [h.get("range") for h in site["/rocket.jpg"]] == [None, *(f"bytes={n}-" for n in (30_000, 60_000, 90_000))]


def test_a_server_that_ignores_ranges_sends_it_all_again(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO, cuts=[50_000], ranges=False)
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert site["/rocket.jpg"][1]["range"] == "bytes=50000-"


@pytest.mark.parametrize(
    ("old", "new"), [('"v1"', '"v2"'), (None, None)], ids=["told by its tag", "told by its checksum"]
)
def test_a_file_that_changed_meanwhile_is_begun_anew(
    site: Site, tmp_path: Path, pip: dict, monkeypatch: pytest.MonkeyPatch, old: str | None, new: str | None
) -> None:
    wanted, target = asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg"
    monkeypatch.setattr(packages, "PAUSES", ())
    site.pages["/rocket.jpg"] = Page(b"x" * len(PHOTO), cuts=[50_000], etag=old)
    refused("rocket.jpg", wanted, target)
    site.pages["/rocket.jpg"] = Page(PHOTO, etag=new)
    download("rocket.jpg", wanted, target)
    assert target.read_bytes() == PHOTO
    assert cached(target) == []


def test_a_part_that_was_complete_already_is_taken(site: Site, tmp_path: Path) -> None:
    source = Url(url=f"{site.url}/rocket.jpg")
    site.pages["/rocket.jpg"] = Page(PHOTO)
    (tmp_path / ".packages").mkdir()
    (tmp_path / ".packages" / f"{source.file}.part").write_bytes(PHOTO)
    download("rocket.jpg", asset(source), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert len(site["/rocket.jpg"]) == 1


def test_what_came_is_moved_to_the_target_so_that_it_needs_its_size_on_disk_once(site: Site, tmp_path: Path) -> None:
    source = Url(url=f"{site.url}/rocket.jpg")
    site.pages["/rocket.jpg"] = Page(PHOTO)
    (tmp_path / ".packages").mkdir()
    part = tmp_path / ".packages" / f"{source.file}.part"
    part.write_bytes(PHOTO[:50_000])
    received = part.stat().st_ino
    download("rocket.jpg", asset(source), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").stat().st_ino == received
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO


def test_a_cache_on_another_disk_is_emptied_too(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(source: object, target: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "rename", rename)
    site.pages["/rocket.jpg"] = Page(PHOTO)
    target = tmp_path / "rocket.jpg"
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), target)
    assert target.read_bytes() == PHOTO
    assert cached(target) == []


def test_leading_digits_of_a_checksum_are_enough_where_no_more_is_published(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO)
    wanted = asset(Url(url=f"{site.url}/rocket.jpg")).model_copy(update={"sha256": sha(PHOTO)[:8]})
    download("rocket.jpg", wanted, tmp_path / "rocket.jpg")
    download("rocket.jpg", wanted, tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert len(site["/rocket.jpg"]) == 1  # the second time it was known by them


def test_other_leading_digits_are_refused(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO)
    wanted = asset(Url(url=f"{site.url}/rocket.jpg")).model_copy(update={"sha256": "0123456789"})
    message = refused("rocket.jpg", wanted, tmp_path / "rocket.jpg")
    assert f"came with sha256 {sha(PHOTO)}" in message


@pytest.mark.parametrize("digits", ["abcdef0", "ABCDEF01", "abcdefg0", "0" * 65])
def test_what_is_no_beginning_of_a_checksum_is_refused(digits: str) -> None:
    with pytest.raises(ValidationError, match="sha256"):
        Asset(about="a", licence="b", sha256=digits, sources=(Url(url=NEVER),))


def test_an_archive_that_is_kept_is_pinned_by_all_digits() -> None:
    with pytest.raises(ValidationError, match="file_sha256"):
        Url(url=NEVER, member="a", file_sha256="abcdef01")


def test_a_wrong_checksum_says_what_came_and_from_where(site: Site, tmp_path: Path) -> None:
    other = bytes(len(PHOTO))
    site.pages["/rocket.jpg"] = Page(other)
    message = refused("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert f"{site.url}/rocket.jpg" in message
    assert f"came with sha256 {sha(other)} ({len(other)} bytes)" in message
    assert f"({len(PHOTO)} bytes)" in message
    assert cached(tmp_path / "rocket.jpg") == []
    assert len(site["/rocket.jpg"]) == 1  # the same again would be of no use


def test_a_short_file_is_refused_with_its_length(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO[:1000])
    message = refused("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert "(1000 bytes)" in message


def test_a_connection_that_always_breaks_is_given_up(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO, cuts=[10_000] * 9, ranges=False)
    message = refused("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert len(site["/rocket.jpg"]) == 3
    assert "10000" in message  # how far it came


def test_more_bytes_than_pinned_are_not_even_received(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO + bytes(20_000_000))
    message = refused("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert f"more than the expected {len(PHOTO)} bytes" in message
    assert site.hung_up.wait(60)
    assert cached(tmp_path / "rocket.jpg") == []


def test_a_missing_file_falls_back_to_the_mirror(site: Site, tmp_path: Path) -> None:
    site.pages["/mirror/rocket.jpg"] = Page(PHOTO)
    wanted = asset(Url(url=f"{site.url}/rocket.jpg"), Url(url=NEVER), Url(url=f"{site.url}/mirror/rocket.jpg"))
    download("rocket.jpg", wanted, tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert len(site["/rocket.jpg"]) == 1  # 404 is an answer: no second attempt


def test_when_all_sources_fail_each_has_its_reason(site: Site, tmp_path: Path) -> None:
    site.pages["/busy"] = Page(statuses=[503] * 9)
    sources = [
        Url(url=f"{site.url}/missing"),
        Url(url=f"{site.url}/busy"),
        Url(url=NEVER),
        Installed(installed="no-such-package", member="a"),
        Installed(installed="scikit-image", member="skimage/data/no_such.png"),
        Local(path=str(tmp_path / "absent")),
    ]
    message = refused("rocket.jpg", asset(*sources), tmp_path / "rocket.jpg")
    for source in sources:
        assert str(source) in message
    for reason in ("404", "503", "refused", "not installed", "No such file"):
        assert reason in message


def test_a_server_that_is_busy_for_a_moment_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO, statuses=[503, 429])
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO


def test_redirects_are_followed(site: Site, tmp_path: Path) -> None:
    site.pages["/latest"] = Page(location=f"{site.url}/files/rocket.jpg")
    site.pages["/files/rocket.jpg"] = Page(PHOTO, cuts=[40_000])
    download("rocket.jpg", asset(Url(url=f"{site.url}/latest")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert site["/files/rocket.jpg"][1]["range"] == "bytes=40000-"


def test_a_redirect_to_a_file_of_this_machine_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(PHOTO)
    site.pages["/latest"] = Page(location=(tmp_path / "mine").as_uri())
    message = refused("rocket.jpg", asset(Url(url=f"{site.url}/latest")), tmp_path / "out" / "rocket.jpg")
    assert "redirects from http to file" in message


@pytest.mark.parametrize(("to", "followed"), [("http://b.example/", False), ("https://b.example/", True), ("/c", True)])
def test_https_is_not_left_for_http(to: str, followed: bool) -> None:
    packages.client.cache_clear()
    client = packages.client()
    answers = {"a.example": httpx2.Response(302, headers={"Location": to})}
    client._mounts.clear()
    client._transport = httpx2.MockTransport(
        lambda request: answers.pop(request.url.host, None) or httpx2.Response(200, text="arrived")
    )
    if followed:
        assert client.get("https://a.example/").text == "arrived"
    else:
        with pytest.raises(Refused, match="redirects from https to http"):
            client.get("https://a.example/")
    packages.client.cache_clear()


@pytest.mark.parametrize("variables", ["${TEST_USER}:${TEST_PASSWORD}", "me:${TEST_PASSWORD}"])
def test_passwords_are_taken_from_the_environment_and_shown_nowhere(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: str
) -> None:
    monkeypatch.setenv("TEST_USER", "me")
    monkeypatch.setenv("TEST_PASSWORD", "s@cret/1")
    monkeypatch.setenv("TEST_TOKEN", "hush")
    path = "/rocket.jpg?id=1&token="
    site.pages[f"{path}hush"] = Page(PHOTO, user="me:s@cret/1")
    wanted = asset(Url(url=f"{site.url.replace('//', f'//{variables}@')}{path}${{TEST_TOKEN}}"))
    download("rocket.jpg", wanted, tmp_path / "rocket.jpg")
    monkeypatch.setenv("TEST_TOKEN", "wrong")
    told = refused("rocket.jpg", wanted, tmp_path / "elsewhere" / "rocket.jpg") + wanted.model_dump_json()
    assert not [secret for secret in ("cret", "hush", "wrong") if secret in told]
    monkeypatch.delenv("TEST_TOKEN")
    message = refused("rocket.jpg", wanted, tmp_path / "elsewhere" / "rocket.jpg")
    assert "environment variable TEST_TOKEN is not set" in message


def test_passwords_are_taken_from_netrc(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    site.pages["/rocket.jpg"] = Page(PHOTO, user="me:secret")
    download("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO


@pytest.mark.parametrize("address", ["http://me:hush@a.b/c", "http://hush@a.b/c", "http://a.b/c?x=1&access_token=hush"])
def test_passwords_in_addresses_are_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ValidationError, match=r"write \$\{NAME\} in its place") as caught:
        Url(url=address)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("address", ["http:///c", "http://[::1/c", "http://a.b:99999/c"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="no web address"):
        Url(url=address)


@pytest.mark.parametrize("address", [f"{NEVER}/%00", f"{NEVER}/%0a%2e%2e%2fx", f"{NEVER}/{'x' * 999}", "http://a..b/c"])
def test_an_odd_address_is_a_source_that_fails(tmp_path: Path, address: str) -> None:
    refused("rocket.jpg", asset(Url(url=address)), tmp_path / "rocket.jpg")
    assert [path.parent.name for path in tmp_path.rglob("*.lock")] == [".packages"]


@pytest.mark.parametrize("odd", [{"etag": '"\xe9t\xe9"'}, {"modified": "\xe9t\xe9"}], ids=["ETag", "Last-Modified"])
def test_a_version_that_no_header_can_name_is_resumed_all_the_same(site: Site, tmp_path: Path, odd: dict) -> None:
    site.pages["/rocket.jpg"] = Page(PHOTO, cuts=[50_000], **odd)
    source, target = Url(url=f"{site.url}/rocket.jpg"), tmp_path / "rocket.jpg"
    download("rocket.jpg", asset(source), target)
    target.unlink()
    for suffix, content in ((".part", PHOTO[:9]), (".part.tag", b"\xe9t\xe9")):  # an older version left such a name
        (tmp_path / ".packages" / f"{source.file}{suffix}").write_bytes(content)
    download("rocket.jpg", asset(source), target)
    assert target.read_bytes() == PHOTO
    asked = site["/rocket.jpg"]
    assert [headers.get("range") for headers in asked] == [None, "bytes=50000-", "bytes=9-"]
    assert not [headers for headers in asked if "if-range" in headers]


def test_an_answer_without_end_is_left(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "UNTOLD", 1_000_000)
    site.pages["/rocket.jpg"] = Page(PHOTO, endless=True)
    wanted = asset(Url(url=f"{site.url}/rocket.jpg")).model_copy(update={"bytes": None})
    assert "sent more than 1000000 bytes" in refused("rocket.jpg", wanted, tmp_path / "rocket.jpg")
    assert cached(tmp_path / "rocket.jpg") == []


def test_a_server_that_drips_is_left_and_what_came_is_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MINUTE", 0.3)
    site.pages["/rocket.jpg"] = Page(PHOTO[:10], endless=True, pause=0.05)
    message = refused("rocket.jpg", asset(Url(url=f"{site.url}/rocket.jpg")), tmp_path / "rocket.jpg")
    assert "bytes in 0.3 seconds" in message
    assert len(site["/rocket.jpg"]) == 1
    (part,) = cached(tmp_path / "rocket.jpg")
    assert part.endswith(".part")


@pytest.mark.parametrize("path", ["/dev/zero", "~nobody_of_this_name/x", "fifo"])
def test_a_local_source_that_is_no_plain_file_is_passed_over(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    source = Local(path=path if path[0] in "/~" else str(tmp_path / path))
    refused("rocket.jpg", asset(source), tmp_path / "rocket.jpg")


# ----------------------------------------------------------------------------------------------------- archives


def zipped(*members: tuple[str, bytes], mode: int = 0o100644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as box:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            box.writestr(info, data)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as box:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd"
            box.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


PACKED = pytest.mark.parametrize("pack", [zipped, tarred])


@pytest.fixture
def unpacked(site: Site, tmp_path: Path):
    """Download the photo as `name` (a glob) out of an archive on the site."""

    def run(archive: bytes, name: str, pinned: bool = True) -> Path:
        site.pages["/box.archive"] = Page(archive)
        source = Url(url=f"{site.url}/box.archive", member=name, file_sha256=sha(archive) if pinned else None)
        download("rocket.jpg", asset(source), tmp_path / "out" / "rocket.jpg")
        return tmp_path / "out" / "rocket.jpg"

    return run


@PACKED
@pytest.mark.parametrize("name", ["box-1.0/data/rocket.jpg", "*/rocket.jpg", "*.jpg"])
def test_a_member_is_read_out_of_an_archive(unpacked, pack, name: str) -> None:
    target = unpacked(pack(("box-1.0/README", b"hello"), ("box-1.0/data/rocket.jpg", PHOTO)), name)
    assert target.read_bytes() == PHOTO
    assert [p.name for p in target.parent.iterdir() if p.is_file()] == ["rocket.jpg"]


@PACKED
def test_only_an_archive_with_a_pinned_checksum_is_kept(unpacked, site: Site, pack) -> None:
    archive = pack(("a/rocket.jpg", PHOTO))
    target = unpacked(archive, "*.jpg", pinned=False)
    assert cached(target) == []
    target.unlink()
    unpacked(archive, "*.jpg")
    assert len(cached(target)) == 1
    target.unlink()
    unpacked(archive, "*.jpg")
    assert len(site["/box.archive"]) == 2  # without a checksum, with one, and from the cache


@PACKED
@pytest.mark.parametrize(
    ("members", "name", "reason"),
    [
        ([("../rocket.jpg", PHOTO)], "*rocket.jpg", "leads out"),
        ([("/tmp/rocket.jpg", PHOTO)], "*rocket.jpg", "leads out"),
        ([("a/../../rocket.jpg", PHOTO)], "*rocket.jpg", "leads out"),
        ([("a/rocket.jpg", PHOTO), ("b/rocket.jpg", PHOTO)], "*/rocket.jpg", "2 members"),
        ([("a/rocket.jpg", PHOTO)], "rocket.jpg", "0 members"),
        ([("a/rocket.jpg", PHOTO + bytes(1_000_000))], "*.jpg", "bytes, expected"),
        ([("a/rocket.jpg", PHOTO[::-1])], "*.jpg", "came with sha256"),
    ],
    ids=["parent", "absolute", "hidden parent", "ambiguous", "absent", "bomb", "other content"],
)
def test_a_member_that_is_not_plainly_the_file_is_refused(unpacked, tmp_path, pack, members, name, reason) -> None:
    with pytest.raises(UserError, match=reason):
        unpacked(pack(*members), name)
    assert not (tmp_path / "out" / "rocket.jpg").exists()


@pytest.mark.parametrize(
    "archive",
    [
        tarred(("a/rocket.jpg", b""), kind=tarfile.SYMTYPE),
        tarred(("a/rocket.jpg", b""), kind=tarfile.LNKTYPE),
        tarred(("a/rocket.jpg", b""), kind=tarfile.DIRTYPE),
        tarred(("a/rocket.jpg", b""), kind=tarfile.FIFOTYPE),
        zipped(("a/rocket.jpg", b"/etc/passwd"), mode=0o120777),
        zipped(("a/rocket.jpg/", b"")),
    ],
    ids=["tar symlink", "tar hard link", "tar directory", "tar pipe", "zip symlink", "zip directory"],
)
def test_links_and_directories_are_refused(unpacked, archive: bytes) -> None:
    with pytest.raises(UserError, match="is a link or a directory"):
        unpacked(archive, "a/rocket.jpg*")


@pytest.mark.parametrize("archive", [zipped(("r.jpg", PHOTO))[:-400], tarred(("r.jpg", PHOTO))[:-400], b"<html>", b""])
def test_a_damaged_archive_is_refused(unpacked, archive: bytes) -> None:
    with pytest.raises(UserError, match="not a readable archive"):
        unpacked(archive, "r.jpg")


@given(st.text(alphabet="ab./\\:C\0é", max_size=12))
@example("..")
@example("a/../..")
@example("..\\a")
@example("C:\\a")
@example("C:a")
@example("//host/share/a")
@example("a\0b")
def test_a_name_counts_as_inside_only_if_it_is(name: str) -> None:
    if is_inside(name):
        path = posixpath.normpath(posixpath.join("/root", name.replace("\\", "/")))
        assert path == "/root" or path.startswith("/root/")
        assert "\0" not in name
        assert not (name[1:2] == ":" and name[0] in "abC")


@given(st.lists(st.sampled_from(["a", "b.c", "ü", "..."]), min_size=1, max_size=4).map("/".join))
def test_ordinary_names_are_inside(name: str) -> None:
    assert is_inside(name)
    assert not is_inside(f"../{name}")
    assert not is_inside(f"{name}/../x")
    assert not is_inside(f"/{name}")


def test_a_bomb_whose_header_lies_is_stopped_by_the_copy(tmp_path: Path) -> None:
    source = Local(path=str(tmp_path / "big"))
    (tmp_path / "big").write_bytes(PHOTO + b"x")
    assert "longer than the expected" in refused("rocket.jpg", asset(source), tmp_path / "out" / "rocket.jpg")


def test_without_a_limit_any_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(zipped(("a", PHOTO)))
    with member(tmp_path / "box", "a") as stream:
        assert stream.read() == PHOTO


# ------------------------------------------------------------------------------------ installed and local files


def test_a_file_of_an_installed_package(tmp_path: Path) -> None:
    download("rocket.jpg", find("rocket.jpg"), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert list(tmp_path.iterdir()) == [tmp_path / "rocket.jpg"]


def test_an_installed_file_that_differs_is_refused(tmp_path: Path) -> None:
    source = Installed(installed="scikit-image", member="skimage/data/coffee.png")
    message = refused("rocket.jpg", asset(source), tmp_path / "rocket.jpg")
    assert "installed scikit-image (skimage/data/coffee.png)" in message


def test_a_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jpg").write_bytes(PHOTO)
    monkeypatch.setenv("HOME", str(tmp_path))
    download("rocket.jpg", asset(Local(path="~/mine.jpg")), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO


# ------------------------------------------------------------------------------------------------ package index

WHEEL = "rockets-1.0-py3-none-any.whl"


@pytest.fixture
def index(site: Site, pip: dict[str, str]) -> bytes:
    """A package index on the site with one wheel, which pip is configured to use; returns the wheel."""
    wheel = zipped(("rockets/rocket.jpg", PHOTO), ("rockets/other.jpg", PHOTO[::-1]))
    names = ("rockets-0.9.tar.gz", WHEEL, "rockets-2.0-py3-none-any.whl")
    anchors = "".join(f'<a href="../../files/{name}#sha256=0">{name}</a>' for name in names)
    site.pages["/simple/rockets/"] = Page(f"<html>{anchors}</html>".encode(), type="text/html")
    site.pages[f"/files/{WHEEL}"] = Page(wheel)
    pip.clear()
    pip["index-url"] = f"{site.url}/simple"
    packages.client.cache_clear()
    return wheel


def packaged(wheel: bytes, name: str = "rockets/rocket.jpg", file: str = WHEEL) -> PackageFile:
    return PackageFile(package="rockets==1.0", file=file, file_sha256=sha(wheel), member=name)


def test_members_of_a_package_file_share_one_transfer(site: Site, index: bytes, tmp_path: Path) -> None:
    download("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    download("other.jpg", asset(packaged(index, "*/other.jpg"), data=PHOTO[::-1]), tmp_path / "other.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert (tmp_path / "other.jpg").read_bytes() == PHOTO[::-1]
    assert [path for path, _ in site.asked] == ["/simple/rockets/", f"/files/{WHEEL}"]
    assert cached(tmp_path / "rocket.jpg") == [WHEEL]


def test_a_package_file_is_resumed_too(site: Site, index: bytes, tmp_path: Path) -> None:
    site.pages[f"/files/{WHEEL}"].cuts = [60_000]
    download("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    assert site[f"/files/{WHEEL}"][1]["range"] == "bytes=60000-"


def test_a_spoilt_package_file_in_the_cache_is_fetched_again(site: Site, index: bytes, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / WHEEL).write_bytes(index[:-1])
    download("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg", tmp_path / "cache")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert (tmp_path / "cache" / WHEEL).read_bytes() == index


def test_two_at_once_wait_for_each_other(site: Site, index: bytes, tmp_path: Path) -> None:
    site.pages[f"/files/{WHEEL}"].wait = 0.2
    first = partial(download, "rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    second = partial(
        download, "other.jpg", asset(packaged(index, "*/other.jpg"), data=PHOTO[::-1]), tmp_path / "other.jpg"
    )
    packages.client()  # so that both start at the same time
    threads = [threading.Thread(target=run) for run in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    assert (tmp_path / "other.jpg").read_bytes() == PHOTO[::-1]
    assert len(site[f"/files/{WHEEL}"]) == 1


def test_a_package_file_with_a_wrong_checksum_is_removed(site: Site, index: bytes, tmp_path: Path) -> None:
    site.pages[f"/files/{WHEEL}"] = Page(index[::-1])
    message = refused("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    assert f"came with sha256 {sha(index[::-1])}" in message
    assert f"expected {sha(index)}" in message
    assert cached(tmp_path / "rocket.jpg") == []


def test_further_indexes_are_asked_in_turn(site: Site, index: bytes, pip: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    pip["find-links"] = f"{tmp_path / 'empty'} {tmp_path / 'absent'}"
    pip["extra-index-url"] = f"file://{tmp_path}/no/simple {NEVER} {pip['index-url']}"
    pip["index-url"] = f"{site.url}/other"
    download("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    (tmp_path / "rocket.jpg").unlink()
    (tmp_path / ".packages" / WHEEL).unlink()
    pip["extra-index-url"] = f"file://{tmp_path}/no/simple {NEVER}"
    message = refused("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    for part in (
        f"package file {WHEEL}",
        str(tmp_path / "empty"),
        "absent",
        f"{site.url}/other answered 404",
        "/no/simple",
    ):
        assert part in message
    assert "refused" in message


def test_a_folder_and_a_local_index_serve_as_well(index: bytes, pip: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "simple" / "rockets" / "index.html"
    page.parent.mkdir(parents=True)
    (tmp_path / WHEEL).write_bytes(index)
    page.write_text(f'<a href="../../{WHEEL}">{WHEEL}</a>')
    for i, setting in enumerate([{"find-links": str(tmp_path)}, {"extra-index-url": f"file://{tmp_path}/simple"}]):
        pip.clear()
        pip.update(setting, **{"index-url": NEVER})
        download("rocket.jpg", asset(packaged(index)), tmp_path / f"{i}" / "rocket.jpg")
        assert (tmp_path / f"{i}" / "rocket.jpg").read_bytes() == PHOTO
    assert (tmp_path / WHEEL).read_bytes() == index  # the user's own file is only read


def test_credentials_of_the_index_are_used_and_not_shown(site: Site, index: bytes, pip: dict, tmp_path: Path) -> None:
    for page in site.pages.values():
        page.user = "me:secret"
    listing = site.pages["/simple/rockets/"]
    listing.data = listing.data.replace(
        b"../../files", f"{site.url}/files".encode()
    )  # links that carry none themselves
    pip["index-url"] = f"{site.url}/simple".replace("//", "//me:secret@")
    download("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")
    assert (tmp_path / "rocket.jpg").read_bytes() == PHOTO
    pip["index-url"] = pip["index-url"].replace("secret", "wrong")
    packages.client.cache_clear()
    assert "wrong" not in refused("rocket.jpg", asset(packaged(index)), tmp_path / "elsewhere" / "rocket.jpg")


def test_without_any_index_the_message_says_so(index: bytes, pip: dict[str, str], tmp_path: Path) -> None:
    pip.clear()
    pip["no-index"] = "true"
    assert "use no index" in refused("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")


def test_an_unusable_certificate_setting_is_named(index: bytes, pip: dict[str, str], tmp_path: Path) -> None:
    pip["cert"] = str(tmp_path / "absent.pem")
    with pytest.raises(UserError, match="cert"):
        download("rocket.jpg", asset(packaged(index)), tmp_path / "rocket.jpg")


def test_pips_files_and_variables_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = http://file.invalid/simple\ntimeout = 3\nfind-links =\n    /a\n    /b\n"
        "[install]\ntimeout = 4\n[download]\ntimeout = 5\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | {
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_INDEX_URL": "http://variable.invalid/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "HOME": str(tmp_path),
    }
    code = "from sa_sr.data.packages import settings as s; print(*map(s().get, ['index-url', 'find-links', 'timeout']))"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["http://variable.invalid/simple", "/a", "/b", "4"]


def test_asking_pip_executes_nothing_of_the_current_folder(tmp_path: Path) -> None:
    for name in ("pip", "ast", "runpy"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')")
    code = "from sa_sr.data.packages import settings; settings()"
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=True)
    assert not (tmp_path / "executed").exists()


@pytest.mark.network
def test_a_real_photo_out_of_a_real_package(tmp_path: Path, pip: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    pip.clear()
    monkeypatch.undo()  # from here on with the settings of this machine
    packages.client.cache_clear()
    wanted = find("china.jpg")
    (source,) = (s for s in wanted.sources if isinstance(s, PackageFile))
    problems: list[str] = []
    found = next(packages.links(source, problems), None)
    if found is None and not any(p.startswith("http") and "lists no" in p for p in problems):
        pytest.skip(f"no package index answers: {problems}")
    download("china.jpg", wanted.model_copy(update={"sources": (source,)}), tmp_path / "china.jpg")
    assert sha((tmp_path / "china.jpg").read_bytes()) == wanted.sha256


# ------------------------------------------------------------------------------------------------ known assets


def test_path_looks_where_assets_are_kept_before_it_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SA_SR_ASSETS", raising=False)
    monkeypatch.setattr(fetch, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    assert fetch.path("rocket.jpg") == tmp_path / "cache" / "sa_sr" / "rocket.jpg"
    assert (tmp_path / "cache" / "sa_sr" / "rocket.jpg").read_bytes() == PHOTO
    (tmp_path / "results" / "assets").mkdir(parents=True)
    (tmp_path / "results" / "assets" / "rocket.jpg").write_bytes(PHOTO)
    assert fetch.path("rocket.jpg") == Path("results/assets/rocket.jpg")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rocket.jpg").write_bytes(b"not the rocket")
    monkeypatch.setenv("SA_SR_ASSETS", str(tmp_path / "mine"))
    assert fetch.path("rocket.jpg") == Path("results/assets/rocket.jpg")
    (tmp_path / "mine" / "rocket.jpg").write_bytes(PHOTO)
    assert fetch.path("rocket.jpg") == tmp_path / "mine" / "rocket.jpg"


def test_an_unknown_asset_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no asset 'racket\.jpg'.*rocket\.jpg"):
        fetch.path("racket.jpg")


@pytest.mark.parametrize("name", sorted(known()))
def test_each_known_asset_is_described_and_pinned(name: str) -> None:
    entry = known()[name]
    assert entry.about
    assert entry.licence
    assert entry.bytes or len(entry.sha256) < 64  # who publishes leading digits publishes no size either
    assert Asset.model_validate(entry.model_dump(mode="json")) == entry


def test_a_source_without_a_telling_key_is_explained() -> None:
    entry = known()["rocket.jpg"].model_dump() | {"sources": [{"uri": "http://a"}]}
    with pytest.raises(ValidationError, match="url, package, installed or path"):
        Asset.model_validate(entry)


@pytest.mark.parametrize(
    "change",
    [{"sha256": "abc"}, {"bytes": 0}, {"sources": []}, {"size": 3}, {"sources": [{"url": "ftp://a/b"}]}],
    ids=["checksum", "size", "no source", "unknown key", "ftp"],
)
def test_a_wrong_entry_is_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        Asset.model_validate(known()["rocket.jpg"].model_dump() | change)


def test_downloading_needs_no_torch() -> None:
    code = "import sys, sa_sr.data.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
