"""What a run was planned with: the configuration and the code, kept in a file that every job of the run reads.

A job on a cluster may start hours after it was planned, and it reads the configuration and the code again. So Snakemake
writes both into a file when a run begins, and gives this file to its jobs as their configuration. A job whose code is
not the planned code refuses to run: its results would stand under the name of other settings.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sa_sr.errors import UserError
from sa_sr.files import write_text
from sa_sr.provenance import digest

PLANNED = "planned"
"""Key of the file beside the keys of the configuration. It holds the claims, the fingerprints of the code that the jobs
reach, and the checksums of the Snakefile and its rules."""
VARIABLE = "SA_SR_PLAN"
"""Environment variable with the path of the plan that a job belongs to. A command that is run by hand has none."""
AGAIN = "start snakemake again, which plans with what is there now"


def freeze(
    folder: Path,
    config: Mapping[str, Any],
    claims: Mapping[str, Any],
    code: Iterable[str],
    workflow: Iterable[str],
    alone: bool = True,
) -> Path:
    """Write the plan of a run and return its path; the name is the checksum of its content.

    folder: where plans lie; config: the merged configuration; claims: content of config/claims.yaml; code: fingerprints
    of all jobs; workflow: paths of the Snakefile and its rules; alone: no other run works in the same folder, so that
    the plans of earlier runs are removed.
    """
    files = {path: digest(path) for path in sorted(workflow)}
    planned = {"claims": claims, "code": sorted(code), "workflow": files}
    text = json.dumps({**config, PLANNED: planned}, indent=1) + "\n"
    target = folder / f"{_name(text.encode())}.json"
    for earlier in folder.glob("*.json") if alone else ():
        if earlier != target:
            earlier.unlink()
    write_text(target, text)
    return target


def enter(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Take the plan out of the configuration of a job, and return the claims.

    path: file of `freeze`; config: the content of that file, as Snakemake has read it. Raises UserError where the
    content is not what was planned.
    """
    if not path.is_file() or path.stem != _name(path.read_bytes()):
        raise UserError(f"{path}: not the configuration that this job was planned with; {AGAIN}")
    return config.pop(PLANNED)["claims"]


def check(tags: Iterable[str]) -> None:
    """Raise UserError where code, a library or a rule is not what the run was planned with.

    tags: fingerprints of now, as `sa_sr.provenance.code` gives them. What the plan does not name is not compared.
    """
    if not os.environ.get(VARIABLE):
        return
    path = Path(os.environ[VARIABLE])
    try:
        planned = json.loads(path.read_bytes())[PLANNED]
    except FileNotFoundError as e:
        raise UserError(f"{path}: the plan of this job is gone, for a later run has another; {AGAIN}") from e
    code = {_named(tag): tag for tag in planned["code"]}
    edited = [_named(tag) for tag in tags if code.get(_named(tag), tag) != tag]
    edited += [file for file, was in planned["workflow"].items() if not os.path.isfile(file) or digest(file) != was]
    if edited:
        raise UserError(f"{edited[0]} has changed since this job was planned; {AGAIN}")


def _named(tag: str) -> str:
    """The module or library of a fingerprint, "module@hash" or "library==version"."""
    return tag.partition("@")[0].partition("==")[0]


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
