"""What has changed since an artefact was made: the settings, files and code of now beside those of its record.

The commands of now are those that Snakemake plans; that it has forgotten what it did does not matter.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sa_sr import records
from sa_sr.config.reading import read
from sa_sr.errors import UserError
from sa_sr.records import Call
from sa_sr.verdict import judge

Parse = Callable[[list[str]], Call | None]
"""What a command line of `sa-sr` means; None if it is none of a stage."""


def why(target: str | None, config: Path | None, snakefile: Path, parse: Parse) -> Iterator[str]:
    """Lines that say what has changed since a file, and all that it is made from, was made.

    target: a file that a stage makes, None for all files of the configuration; config: that of the target, None to look
    for it by its name in config/; parse: what a command line of a stage means. Raises UserError where no stage makes
    the target, and with Snakemake's words where it can't plan.
    """
    config = config or _config_of(target)
    calls = _planned(target, config, snakefile, parse)
    makers = {path: call for call in calls for path in call.outputs}
    if target is not None and target not in makers:
        raise _not_made(target, config)
    causes, stale = judge(calls, [makers[target]] if target else calls)
    made = (records.read(target) or {}).get("at") if target and Path(target).exists() else None
    what = f"{target} (made {made})" if made else target or f"All of {config}"
    yield f"{what}: to be made anew." if causes else f"{what}: up to date. Nothing that it is made from has changed."
    yield from (f"\n{cause}" for cause in causes)
    own = {id(call) for cause in causes for call in cause.calls}
    if follow := [call for call in stale if id(call) not in own]:
        trainings = sum(call.command in ("pretrain", "train") for call in follow)
        costly = f", {trainings} of them {'a training' if trainings == 1 else 'trainings'}" if trainings else ""
        yield f"\n{len(follow)} more {'stage follows' if len(follow) == 1 else 'stages follow'} from these{costly}."


def _planned(target: str | None, config: Path, snakefile: Path, parse: Parse) -> list[Call]:
    """The call of every job that makes the target from nothing."""
    read(config)  # refuses what Snakemake would execute
    command = [sys.executable, "-P", "-m", "snakemake", "--dry-run", "--forceall", "--printshellcmds", "--nocolor"]
    command += ["--snakefile", str(snakefile), *filter(None, [target]), "--configfile", str(config)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        if "MissingRuleException" in said:
            raise _not_made(target, config)
        raise UserError(f"Snakemake can't plan with {config}:\n{said.strip()}")
    calls = [call for line in dict.fromkeys(_commands(said)) if (call := parse(shlex.split(line)))]
    return sorted(calls, key=lambda call: call.outputs)


def _commands(said: str) -> Iterator[str]:
    """The commands of stages, without `sa-sr`, in what Snakemake prints; a name in a command may hold a line break."""
    lines = iter(said.splitlines())
    for line in lines:
        if begin := re.match(r"(?:Shell command: |\s+)sa-sr (.+)", line):
            command = begin[1]
            while not _closed(command):
                command += "\n" + next(lines)
            yield command


def _closed(command: str) -> bool:
    """Whether every quotation mark of a command line has its partner."""
    try:
        return bool(shlex.split(command))
    except ValueError:
        return False


def _not_made(target: str | None, config: Path) -> UserError:
    return UserError(f"{target}: no stage of {config} makes it; give a file that one does, as Snakemake names it")


def _config_of(target: str | None) -> Path:
    """The file in config/ whose `name` the target's folder has."""
    if target is None:
        return Path("config/paper.yaml")  # as Snakemake without one
    name = re.match(r"results/([^/]+)/.", target)
    if not name:
        raise UserError(f"{target}: no file in results/<configuration>/; name one from the project's folder")
    for path in sorted(Path("config").glob("*.yaml")):
        with suppress(UserError):  # it is of another configuration, if of any
            if read(path).get("name") == name[1]:
                return path
    raise UserError(f"{target}: no file of config/ has the name {name[1]!r}; give --configfile")
