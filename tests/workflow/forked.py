"""`sa-sr` and `snakemake` without the seconds that loading torch, Snakemake and others takes.

`commands()` is a folder for the front of PATH. The commands in it hand their words, folder, environment and channels to
a server, which has all libraries loaded and does the work in a fork of itself. A signal to such a command does not
reach the work: who sends one takes the real command.
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

ROOT = Path(__file__).parents[2]
CLIENT = """#!{python} -ISE
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"."], [0, 1, 2])
words = [os.getcwd(), str(len(os.environ)), *(f"{{k}}={{v}}" for k, v in os.environ.items()), *sys.argv]
server.sendall(b"\\0".join(map(os.fsencode, words)))
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.recv(8) or b"70"))
"""


@cache
def commands() -> Path:
    """The folder with both commands. Their server, which is started now, ends with this process."""
    folder = Path(mkdtemp(prefix="sa_sr-"))
    address = str(folder / "server")
    for name in ("sa-sr", "snakemake"):
        (folder / name).write_text(CLIENT.format(python=sys.executable, address=address))
        (folder / name).chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    server = subprocess.Popen([sys.executable, "-m", __name__, address], cwd=ROOT, env=environment, stdout=pipe)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.kill)
    assert server.stdout
    assert server.stdout.readline() == b"ready\n"
    return folder


def serve(address: str) -> None:
    """Take commands, each in a process that nobody waits for but its client, until the parent of this one has ended."""
    import_module("tests.workflow.loaded")
    import_module("snakemake.report")
    import_module("snakemake.cli").get_argument_parser()  # loads plugins
    sys.modules["__main__"].__spec__ = sys.modules["__main__"].__package__ = None  # as where a script was started
    parent = os.getppid()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    listener.settimeout(5)
    print("ready", flush=True)
    while os.getppid() == parent:
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        if not (child := os.fork()):
            if not os.fork():
                listener.close()
                answer(client)
            os._exit(0)
        os.waitpid(child, 0)
        client.close()
    shutil.rmtree(Path(address).parent, ignore_errors=True)


def answer(client: socket.socket) -> None:
    """Do the work of one client and tell it the exit status."""
    _, channels, _, _ = socket.recv_fds(client, 1, 3)
    cwd, count, *words = b"".join(iter(lambda: client.recv(1 << 16), b"")).decode(errors="surrogateescape").split("\0")
    for number, channel in enumerate(channels):
        os.dup2(channel, number)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(word.split("=", 1) for word in words[: int(count)])
    sys.argv = words[int(count) :]
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = paths
    if str(ROOT) not in paths:  # another checkout
        for name in [name for name in sys.modules if name.partition(".")[0] == "sa_sr"]:
            del sys.modules[name]
    client.sendall(str(status()).encode())
    os._exit(0)


def status() -> int:
    """The exit status of the command in `sys.argv`, whose channels are flushed."""
    try:
        if Path(sys.argv[0]).name == "snakemake":
            import_module("snakemake.cli").main(sys.argv[1:])
        else:
            import_module("sa_sr.cli").main()
        number = 0
    except SystemExit as e:
        number = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        traceback.print_exc()
        number = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return number


if __name__ == "__main__":
    serve(sys.argv[1])
