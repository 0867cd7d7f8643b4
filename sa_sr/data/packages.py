"""The package index as the user's pip sees it: its settings, an HTTP client that goes by them, and where a file is."""

import ast
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import httpx2
from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from sa_sr.data.assets import PackageFile
from sa_sr.errors import Refused, UserError

CONNECT, READ = 10.0, 30.0  # seconds without an answer
PAUSES = (0.5, 1.5)  # seconds before each further attempt

T = TypeVar("T")


class _Busy(httpx2.TransportError):
    """The server failed for the moment (5xx, 429): worth another attempt."""


@cache
def settings() -> dict[str, str]:
    """What pip goes by, under its options' names: its configuration files, then PIP_* variables that are not empty."""
    # -P: no module of the folder that it runs in; prints nothing where the environment has no pip
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]
    printed = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    written = sorted(re.findall(r"""^(global|install)\.([\w-]+)=(['"].*)$""", printed, re.MULTILINE))
    found = [(key, ast.literal_eval(value)) for _, key, value in written]
    found += [(k[4:].lower().replace("_", "-"), v) for k, v in os.environ.items() if k.startswith("PIP_")]
    return {key: value for key, value in found if value}


def _indexes() -> list[str]:
    if settings().get("no-index", "").lower() in ("1", "true", "t", "yes", "y", "on"):
        return []
    default = PackageFinder().sources[0]["url"]
    return [settings().get("index-url", default), *settings().get("extra-index-url", "").split()]


@cache
def client() -> PyPIClient:
    """One HTTP client for indexes and files, with the certificates, proxy and credentials that pip uses.

    What it raises goes through `patiently`. Redirects are followed, but never from https to anything else.
    """
    pip = settings()
    try:
        trust = ssl.create_default_context(cafile=pip["cert"]) if "cert" in pip else httpx2.create_ssl_context()
        if "client-cert" in pip:
            trust.load_cert_chain(pip["client-cert"])
        return PyPIClient(
            trusted_hosts=pip.get("trusted-host", "").split(),
            verify=trust,
            proxy=pip.get("proxy"),
            auth=MultiDomainBasicAuth(prompting=False, index_urls=_indexes()),
            timeout=httpx2.Timeout(READ, connect=CONNECT),
            follow_redirects=True,
            event_hooks={"response": [_check]},
        )
    except (OSError, ValueError) as e:
        raise UserError(f"pip's cert, client-cert or proxy setting is of no use ({e}); see `pip config list`") from e


def _check(response: httpx2.Response) -> None:
    """Refuse errors and unsafe redirects, wherever they come up in a chain of requests."""
    code, here = response.status_code, response.url
    answer = f"answered {code} {response.reason_phrase}"
    if code >= 500 or code == 429:
        raise _Busy(answer)
    if code >= 400 and code not in (401, 416):  # to 401 credentials may be the answer, 416 is for the caller
        raise Refused(answer)
    if response.has_redirect_location:
        there = here.join(response.headers["Location"])
        if there.scheme not in ("https", here.scheme):
            raise Refused(f"redirects from {here.scheme} to {there.scheme}, which is not followed")


def patiently(attempt: Callable[[], T]) -> T:
    """The attempt's result, after a few more attempts where the connection or the server failed; else Refused."""
    for pause in (*PAUSES, None):
        try:
            return attempt()
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as e:  # the last for a host that is no name
            passing = isinstance(e, httpx2.TransportError) and not isinstance(e, httpx2.ConnectTimeout)
            if pause is None or not passing:  # whoever is offline is told so soon
                raise Refused(str(e) or type(e).__name__) from e
            time.sleep(pause)
    raise AssertionError("unreachable")


def links(source: PackageFile, problems: list[str]) -> Iterator[str]:
    """URLs of the package file, index after index; `problems` gets the reason of each index that has none."""
    session: Any = client()
    places = [{"find_links": [os.path.expanduser(place)]} for place in settings().get("find-links", "").split()]
    places += [{"index_urls": [url]} for url in _indexes()]
    if not places:
        problems.append("pip is configured to use no index")
    for place in places:
        finder = PackageFinder(session, ignore_compatibility=True, **place)  # pyright: ignore[reportArgumentType]
        where = Link(finder.sources[0]["url"]).redacted
        try:
            found = patiently(lambda: _list(finder, source))  # noqa: B023 - called at once
        except (Refused, ValueError) as e:
            problems.append(f"{where} {e}")
            continue
        if not found:
            problems.append(f"{where} lists no such file")
        yield from found


def _list(finder: PackageFinder, source: PackageFile) -> list[str]:
    packages = finder.find_all_packages(source.package.partition("==")[0], allow_yanked=True)
    return [p.link.url_without_fragment for p in packages if p.link.filename == source.file]
