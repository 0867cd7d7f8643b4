"""A real Slurm on this machine for the tests: two nodes which claim 8 CPUs, 32 GB and one GPU each.

    python -m tests.slurm.cluster start | stop | status

It takes root and Debian or Ubuntu, installs Slurm where there is none, and does without systemd, cgroups and a
database. A configuration of somebody else's is never touched. The logs of the daemons stay in /tmp/sa_sr-slurm.
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil

FOLDER = Path("/tmp/sa_sr-slurm")
ETC = Path("/etc/slurm")
CONFIGURATION = ETC / "slurm.conf"
HOSTS = Path("/etc/hosts")
MARK = "# made by sa_sr's tests/slurm/cluster.py"
NODES = ("n1", "n2")
FINISHED_JOBS = FOLDER / "finished.txt"
"""What Slurm notes of every job that has ended: one line of KEY=VALUE each."""
NULL_DEVICE = os.makedev(1, 3)


def start() -> None:
    """Start the cluster anew and wait until its nodes take jobs."""
    if not possible():
        sys.exit("The test cluster takes root, and Debian or Ubuntu.")
    stop()
    if any(map(is_daemon, psutil.process_iter())):
        sys.exit("Another Slurm runs here: left alone.")
    if not shutil.which("slurmctld") or not shutil.which("slurmd") or not shutil.which("srun"):
        packages = ["slurmctld", "slurmd", "slurm-client", "munge"]
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
            run("apt-get", *command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder in ("state", "run", *(f"spool/{node}" for node in NODES)):
        (FOLDER / folder).mkdir(parents=True)
    for number in range(len(NODES)):  # a device to hold, so that CUDA_VISIBLE_DEVICES is set in jobs
        os.mknod(FOLDER / f"run/gpu{number}", stat.S_IFCHR | 0o666, NULL_DEVICE)
    ETC.mkdir(exist_ok=True)
    for name, text in configuration().items():
        (ETC / name).write_text(f"{MARK}\n{text}")
    others = HOSTS.read_text().rstrip("\n")
    names = f"127.0.0.1 {' '.join(NODES)} {MARK}"  # by which processes of one job on several nodes find each other
    HOSTS.write_text(f"{others}\n{names}\n")
    if subprocess.run(["munge", "-n"], stdin=subprocess.DEVNULL, capture_output=True).returncode != 0:
        run("install", "-d", "-o", "munge", "-g", "munge", "/run/munge")  # else the work of systemd
        run("runuser", "-u", "munge", "--", "munged", "--pid-file", "/run/munge/munged.pid")
        (FOLDER / "run/munged.pid").symlink_to("/run/munge/munged.pid")
    run("slurmctld", "-c", "-f", str(CONFIGURATION))
    for node in NODES:
        run("slurmd", "-f", str(CONFIGURATION), "-N", node)
    wait(lambda: ready() == set(NODES), "The nodes don't come up; see the logs in /tmp/sa_sr-slurm.")
    status()


def possible() -> bool:
    """Whether this machine can have it."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def stop() -> None:
    """End the cluster with its jobs, and remove its configuration. Does nothing where none runs."""
    if "SLURM_CONF" in os.environ:
        sys.exit("SLURM_CONF names the configuration of another Slurm: left alone.")
    for file in (ETC / name for name in configuration()):
        if file.exists() and not file.read_text().startswith(MARK):
            sys.exit(f"{file} is somebody else's: left alone.")
    if ready():
        run("scancel", "--user", "root")
        end = time.monotonic() + 60
        while told("squeue", "--noheader") and time.monotonic() < end:
            time.sleep(0.2)
    daemons = [psutil.Process(int(file.read_text())) for file in (FOLDER / "run").glob("*.pid") if alive(file)]
    for daemon in daemons:
        daemon.send_signal(signal.SIGTERM)
    _, lasting = psutil.wait_procs(daemons, 20)
    for daemon in lasting:
        daemon.kill()
    psutil.wait_procs(lasting, 20)
    for name in configuration():  # with slurm.conf left behind every start of Snakemake would wait for the controller
        (ETC / name).unlink(missing_ok=True)
    hosts = HOSTS.read_text()
    if MARK in hosts:
        HOSTS.write_text("".join(line for line in hosts.splitlines(True) if MARK not in line))
    shutil.rmtree(FOLDER / "run", ignore_errors=True)


def status() -> None:
    run("sinfo", "--Node", "--format", "%N %P %t %c %m %G")
    run("squeue")


def configuration() -> dict[str, str]:
    """The files in /etc/slurm. (SLURM_CONF would not do: the plugin removes SLURM_* before it starts a step.)"""
    host = socket.gethostname().partition(".")[0]
    nodes, gpus = [], []
    for number, node in enumerate(NODES):
        nodes.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={16821 + number} CPUs=8 RealMemory=32000"
            " Gres=gpu:pretended:1 State=UNKNOWN"
        )
        gpus.append(f"NodeName={node} Name=gpu Type=pretended File={FOLDER}/run/gpu{number}")
    main = f"""\
ClusterName=sa-sr-tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation={FOLDER}/state
SlurmdSpoolDir={FOLDER}/spool/%n
SlurmctldPidFile={FOLDER}/run/slurmctld.pid
SlurmdPidFile={FOLDER}/run/%n.pid
SlurmctldLogFile={FOLDER}/slurmctld.log
SlurmdLogFile={FOLDER}/%n.log
JobCompType=jobcomp/filetxt
JobCompLoc={FINISHED_JOBS}
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
MinJobAge=3600
{chr(10).join(nodes)}
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
"""
    return {"slurm.conf": main, "gres.conf": "\n".join(gpus) + "\n", "cgroup.conf": "CgroupAutomount=no\n"}


def ready() -> set[str]:
    """The nodes of the test cluster that take jobs; none where it doesn't run."""
    if "SLURM_CONF" in os.environ or not CONFIGURATION.exists() or not CONFIGURATION.read_text().startswith(MARK):
        return set()
    return set(told("sinfo", "--noheader", "--Node", "--states=idle,mixed,allocated", "--format=%N").split())


def told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def run(*command: str, **options) -> None:
    subprocess.run(command, check=True, **options)


def wait(until, complaint: str) -> None:
    end = time.monotonic() + 60
    while not until():
        if time.monotonic() > end:
            sys.exit(complaint)
        time.sleep(0.2)


def alive(pid_file: Path) -> bool:
    """Whether the process of the file is the daemon that wrote it, and none that has had its number since."""
    text = pid_file.read_text().strip() if pid_file.exists() else ""
    return text.isdigit() and psutil.pid_exists(int(text)) and is_daemon(psutil.Process(int(text)), "munged")


def is_daemon(process: psutil.Process, *others: str) -> bool:
    try:
        return process.name().startswith(("slurmctld", "slurmd", *others))
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    commands = {"start": start, "stop": stop, "status": status}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()
