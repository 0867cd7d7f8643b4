"""Snakemake's command line in a process that has it loaded: half the time of a plan goes into loading it.

Of this project nothing is loaded beforehand, for a test may have a checkout of its own. Where pytest isn't started in
the repository's root Snakemake is loaded each time.
"""

import os
import sys
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import NamedTemporaryFile

from snakemake.cli import main

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def snakemake(command: list[str], cwd: Path, env: dict[str, str]) -> CompletedProcess[str]:
    """`subprocess.run` of a command that begins with `snakemake`; what it says on both channels is in `stdout`."""
    with NamedTemporaryFile("r") as said:
        process = PROCESSES.Process(target=_run, args=(command, cwd, env, said.name))
        process.start()
        try:
            process.join()
        finally:
            process.kill()  # where the test was ended first
        assert process.exitcode is not None
        return CompletedProcess(command, process.exitcode, said.read(), "")


def _run(command: list[str], cwd: Path, env: dict[str, str], said: str) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = env["PYTHONPATH"].split(os.pathsep)
    sys.argv = command
    with open(said, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    main(command[1:])
