"""One process at a time, with the kernel's locks and on a file system that has none."""

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sa_sr import lock
from sa_sr.errors import UserError
from sa_sr.lock import Held, Lock
from sa_sr.training.state import StateFolder
from tests.conftest import ROOT
from tests.processes import suspend

HOLDER = """
import os, sys, time
from pathlib import Path
from sa_sr import lock
lock.BEAT, lock.BEATS = 0.2, 10
try:
    with lock.Lock(Path(sys.argv[1])) as held:
        if sys.argv[2:] and not os.fork():
            held.leave()
        else:
            time.sleep(lock.BEAT)
            held.check()  # for of three at the same moment one may have lost it again
        os.write(1, b"held\\n")
        sys.stdin.readline()
except lock.Held as e:
    print(e, flush=True)
"""
PATIENT = HOLDER.replace("0.2, 10", "0.2, 1000")
"""Who never takes another for dead, however long it shows no sign of life on a busy machine."""
WAITER = """
import sys
from pathlib import Path
from sa_sr import lock
lock.BEAT, lock.BEATS = 0.4, 100
print("waiting", flush=True)
with lock.waiting(Path(sys.argv[1])):
    print("held", flush=True)
"""
STATE = """
import sys, time
from pathlib import Path
from sa_sr import errors, lock
from sa_sr.training.state import StateFolder
lock.BEAT = 0.2
try:
    with StateFolder(Path(sys.argv[1]), "a") as folder:
        folder.save({"step": 1})
        print("held", flush=True)
        while not folder.due():
            time.sleep(0.01)
        folder.save({"step": 2})
except errors.UserError as e:
    print(e, flush=True)
"""
NONE = "ENOLCK"


@pytest.fixture
def started():
    """started(kind, script, *arguments): a process, on a file system without locks unless `kind` is "kernel"."""
    processes = []

    def start(kind: str, script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, *(["-m", "tests.nolocks", kind, sys.executable] if kind != "kernel" else [])]
        process = subprocess.Popen(
            [*command, "-c", script, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # those it forked too
        process.wait()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, for this process, which waits little for a sign of life."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(lock, "BEAT", 0.1)
    monkeypatch.setattr(lock, "BEATS", 4)


@pytest.mark.parametrize("kind", ["kernel", NONE, "ENOSYS", "EOPNOTSUPP"])
def test_one_process_at_a_time_holds_a_lock_and_the_next_when_it_lets_go(started, tmp_path, kind):
    first = started(kind, PATIENT, tmp_path / "lock")
    assert said(first) == "held"
    assert said(started(kind, PATIENT, tmp_path / "lock")).startswith(f"process {first.pid} on ")
    first.communicate("\n")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert said(started(kind, PATIENT, tmp_path / "lock")) == "held"


@pytest.mark.parametrize("kind", ["kernel", NONE])
def test_a_killed_process_holds_no_lock_for_long(started, tmp_path, kind):
    """Nor does one that it had forked, and that lives on."""
    first = started(kind, HOLDER, tmp_path / "lock", "fork")
    assert said(first) == said(first) == "held"
    killed(first)
    assert said(started(kind, HOLDER, tmp_path / "lock")) == "held"


def test_of_many_that_find_an_abandoned_lock_one_gets_it(started, tmp_path):
    first = started(NONE, HOLDER, tmp_path / "lock")
    assert said(first) == "held"
    killed(first)
    newcomers = {str(process.pid): process for process in (started(NONE, HOLDER, tmp_path / "lock") for _ in range(4))}
    answers = {number: said(process) for number, process in newcomers.items()}
    (winner,) = (number for number, answer in answers.items() if answer == "held")
    assert all(f"process {winner} on " in answer for number, answer in answers.items() if number != winner)


def test_a_newcomer_that_is_too_slow_gives_the_winner_its_lock_back(no_locks, tmp_path, monkeypatch):
    """Between its last look at an abandoned lock and its grip another newcomer has taken it over."""
    (tmp_path / "lock.held").write_text("process 1 on another machine\n")
    slow, fast, rename = Lock(tmp_path / "lock"), Lock(tmp_path / "lock"), os.rename

    def late(*paths: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        fast.__enter__()
        monkeypatch.setattr(lock, "BEATS", 1000)  # it lives, and will show it
        rename(*paths)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(Held, match=f"process {os.getpid()}"):
        slow.__enter__()
    fast.check()
    fast.__exit__()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_lock_that_has_just_been_created_and_says_nothing_yet_stays_in_its_place(no_locks, tmp_path, monkeypatch):
    """Another newcomer was faster, and is between creating the file and writing its name there."""
    file = tmp_path / "lock.held"
    file.write_text("process 1 on another machine\n")

    def create() -> None:
        file.unlink()
        file.touch()

    steps = iter([create, lambda: file.write_text("process 2 on another machine\n")])
    monkeypatch.setattr(lock.time, "sleep", lambda _: next(steps)())
    monkeypatch.setattr(os, "rename", lambda *_: pytest.fail("moved a lock that is held"))
    with pytest.raises(Held, match="process 2 on another machine"):
        Lock(tmp_path / "lock").__enter__()
    assert file.read_text() == "process 2 on another machine\n"


def test_a_training_without_locks_refuses_another_and_stops_where_it_was_taken_over_while_suspended(
    started, no_locks, tmp_path
):
    first = started(NONE, STATE, tmp_path)
    assert said(first) == "held"
    lock.BEAT, lock.BEATS = 1, 1000  # longer than its own, and patient
    with pytest.raises(UserError, match=f"is in use by process {first.pid} on .*; wait until it is done"):
        StateFolder(tmp_path, "a").__enter__()
    lock.BEAT, lock.BEATS = 0.1, 4
    suspend(first.pid)
    with StateFolder(tmp_path, "a") as folder:
        folder.save({"step": 3})
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        first.send_signal(signal.SIGCONT)
        assert said(first).startswith(f"{tmp_path} was taken over by process {os.getpid()} on ")
        first.wait()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        folder.save({"step": 4})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "lock", "previous.pt"]


@pytest.mark.parametrize("kind", ["kernel", NONE])
def test_whoever_waits_gets_the_lock_when_it_is_free(started, tmp_path, kind):
    first = started(kind, HOLDER, tmp_path / "lock")
    assert said(first) == "held"
    second = started(kind, WAITER, tmp_path / "lock")
    assert said(second) == "waiting"
    assert not select.select([second.stdout], [], [], 1)[0]
    first.communicate("\n")
    assert said(second) == "held"
