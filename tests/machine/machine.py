"""The disposable machine, seen from the host.

A machine is a systemd-nspawn container that boots a real systemd as PID 1, with a network and a
/var/lib/docker of its own, over an overlay whose upper folder is a tmpfs. Nothing of it outlives
the process that made it: its mounts are in a private mount namespace (private_mounts), and when
that process dies without close(), of SIGKILL say, a guard that waits for this ends the machine. Any
number may run at once.

The host may itself be a container or a small virtual machine that mounts control groups v1, v2 or
both, and that need not run systemd.
"""

import errno
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", "machine")

BOOT_SECONDS = 90

# Left out of the boot: nothing in the machine needs them, and they cost time on a small host. The
# scenarios start proxies by themselves.
MASKED = """
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    e2scrub_reap.service console-getty.service getty.target systemd-logind.service
    systemd-networkd.service systemd-resolved.service systemd-timesyncd.service
    systemd-tmpfiles-clean.timer systemd-update-utmp.service systemd-firstboot.service
    systemd-journal-flush.service systemd-pcrphase.service systemd-pcrphase-sysinit.service
    proc-sys-fs-binfmt_misc.automount
    nginx.service haproxy.service caddy.service
""".split()

# What nspawn's own filter forbids: session keyrings and the device filter, for runc; the descriptor
# of a seccomp notification's process; and Landlock, for dockwake's own sandbox.
SYSCALLS = ("@keyring @debug bpf pidfd_getfd "
            "landlock_create_ruleset landlock_add_rule landlock_restrict_self")


class MachineError(Exception):
    pass


def private_mounts() -> None:
    """Runs the program anew in a mount namespace of its own; returns in the second run."""
    if os.environ.pop("DOCKWAKE_PRIVATE_MOUNTS", None) == str(os.getpid()):
        return
    os.environ["DOCKWAKE_PRIVATE_MOUNTS"] = str(os.getpid())
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private",
                          sys.executable, *sys.argv])


def tree(depends: str, peers: bool) -> str:
    """The cached tree that holds these packages; it is built when it is not there."""
    words = ["--peers"] if peers else []
    made = subprocess.run([os.path.join(HERE, "tree"), *words, depends], stdout=subprocess.PIPE,
                          text=True)
    if made.returncode != 0:
        raise MachineError("the tree of the machine could not be built")
    return made.stdout.strip()


def _cgroup_folders() -> list[str]:
    """This process's own folder in each mounted control group hierarchy."""
    mounts = {}
    with open("/proc/self/mountinfo") as table:
        for line in table:
            left, right = line.split(" - ")
            kind, _, options = right.split()[:3]
            where = left.split()[4]
            if kind == "cgroup2":
                mounts.setdefault("", where)
            elif kind == "cgroup":
                for option in options.split(","):
                    mounts.setdefault(option, where)
    folders = []
    with open("/proc/self/cgroup") as table:
        for line in table:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            where = mounts.get(controllers.split(",")[0])
            if where is not None:
                folders.append(where + path.rstrip("/"))
    return folders


def _make_cgroups(name: str) -> list[str]:
    """A new folder in each hierarchy, so that two machines' units never meet."""
    made = []
    for parent in _cgroup_folders():
        folder = os.path.join(parent, name)
        os.makedirs(folder)
        made.append(folder)
        for knob in ("cpuset.cpus", "cpuset.mems"):  # empty in a new v1 folder
            source = os.path.join(parent, knob)
            if os.path.exists(source) and os.path.exists(os.path.join(folder, knob)):
                with open(source) as old, open(os.path.join(folder, knob), "w") as new:
                    new.write(old.read())
    return made


def _sweep(folder: str, cgroups: list[str]) -> None:
    """Takes away what a machine that has ended leaves behind."""
    _remove_cgroups(cgroups)
    for place in ("root", "scratch"):
        path = os.path.join(folder, place)
        if os.path.ismount(path):
            subprocess.run(["umount", "--lazy", path], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _guard(leader: int, nspawn: int, folder: str, cgroups: list[str]) -> int:
    """Forks a process that lives until the returned pipe is closed, then ends what is left."""
    watched, held = os.pipe()
    if os.fork() > 0:
        os.close(watched)
        return held
    try:
        os.setsid()
        os.close(held)
        for number in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        ends = [os.pidfd_open(pid) for pid in (leader, nspawn)]
        os.read(watched, 1)
        for end in ends:
            try:
                signal.pidfd_send_signal(end, signal.SIGKILL)
            except ProcessLookupError:
                pass
            select.select([end], [], [], 20)
        _sweep(folder, cgroups)
    finally:
        os._exit(0)


def _remove_cgroups(folders: list[str]) -> None:
    for top in folders:
        for folder, _, _ in os.walk(top, topdown=False):
            until = time.monotonic() + 5
            while True:
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if error.errno == errno.EBUSY and time.monotonic() < until:
                        time.sleep(0.01)  # the kernel is still burying the last process
                        continue
                break


class Machine:
    """One running machine. Use it in a with statement, after private_mounts()."""

    def __init__(self, lower: str, binds: dict[str, str]) -> None:
        """Boots lower; binds: folder of the host -> place in the machine, read-only."""
        self.name = f"dockwake-{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix="dockwake-machine-")
        self.console = os.path.join(self.folder, "console.log")
        self.leader = 0
        self._nspawn: subprocess.Popen | None = None
        self._cgroups: list[str] = []
        self._held = -1
        try:
            self._mount(lower)
            self._boot(binds)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mount(self, lower: str) -> None:
        run = lambda *words: subprocess.run(words, check=True)
        scratch = os.path.join(self.folder, "scratch")
        self._root = os.path.join(self.folder, "root")
        os.mkdir(scratch)
        os.mkdir(self._root)
        run("mount", "-t", "tmpfs", "-o", "mode=0755,size=2G", "tmpfs", scratch)
        for name in ("upper", "work"):
            os.mkdir(os.path.join(scratch, name))
        run("mount", "-t", "overlay", "-o",
            f"lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work",
            "overlay", self._root)
        for unit in MASKED:
            place = os.path.join(self._root, "etc/systemd/system", unit)
            if os.path.lexists(place):
                os.unlink(place)
            os.symlink("/dev/null", place)
        with open(os.path.join(self._root, "etc/machine-id"), "w") as file:
            file.write(os.urandom(16).hex() + "\n")
        with open(os.path.join(self._root, "etc/hostname"), "w") as file:
            file.write("machine\n")

    def _boot(self, binds: dict[str, str]) -> None:
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(os.path.join(self.folder, "notify"))
        command = [
            "systemd-nspawn", "--quiet", f"--directory={self._root}", f"--machine={self.name}",
            "--private-network", "--capability=all", f"--system-call-filter={SYSCALLS}",
            "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe",
            "--resolv-conf=off", "--timezone=off", "--notify-ready=yes",
            "--tmpfs=/var/lib/docker:mode=0711", "--boot",
        ]
        command += [f"--bind-ro={source}:{place}" for source, place in binds.items()]
        environment = dict(os.environ, NOTIFY_SOCKET=os.path.join(self.folder, "notify"))
        if os.path.isdir("/run/systemd/system"):
            command = ["systemd-run", "--quiet", "--scope", "--property=Delegate=yes", *command]
        else:
            self._cgroups = _make_cgroups(self.name)
        with open(self.console, "wb") as console:
            self._nspawn = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], env=environment,
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                preexec_fn=self._join_cgroups, start_new_session=True)
        self._wait_ready(ready)
        ready.close()
        self._held = _guard(self.leader, self._nspawn.pid, self.folder, self._cgroups)
        self._open_cgroups()

    def _join_cgroups(self) -> None:
        for folder in self._cgroups:
            with open(os.path.join(folder, "cgroup.procs"), "w") as file:
                file.write("0")

    def _wait_ready(self, ready: socket.socket) -> None:
        """nspawn tells the leader's number when it runs, and passes on the READY of its systemd."""
        end = os.pidfd_open(self._nspawn.pid)
        until = time.monotonic() + BOOT_SECONDS
        try:
            while True:
                left = until - time.monotonic()
                came, _, _ = select.select([ready, end], [], [], max(left, 0))
                if ready in came:
                    message = ready.recv(65536).decode(errors="replace")
                    leader = re.search(r"^X_NSPAWN_LEADER_PID=(\d+)$", message, re.M)
                    if leader:
                        self.leader = int(leader[1])
                    if self.leader and re.search(r"^READY=1$", message, re.M):
                        return
                elif end in came:
                    raise MachineError("the machine ended while it booted:\n" + self.console_tail())
                else:
                    raise MachineError(f"the machine has not booted in {BOOT_SECONDS} s:\n"
                                       + self.console_tail())
        finally:
            os.close(end)

    def _open_cgroups(self) -> None:
        """nspawn shows the v1 controllers read-only; runc has to write to them."""
        self.run(["sh", "-c", "awk '$3 == \"cgroup\" { print $2 }' /proc/mounts | "
                  "while read -r at; do mount -o remount,bind,rw \"$at\"; done"], check=True)

    def console_tail(self) -> str:
        with open(self.console, errors="replace") as file:
            return "".join(file.readlines()[-30:])

    def run(self, command: list[str], **options) -> subprocess.CompletedProcess:
        """Runs a command in the machine as root; options as of subprocess.run."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb"),
                       "PYTHONDONTWRITEBYTECODE": "1", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(["nsenter", f"--target={self.leader}", "--all", *command],
                              env=environment, **options)

    def fetch(self, folder: str, place: str) -> None:
        """Copies what a folder of the machine has, if it is there, to a folder of the host."""
        source = os.path.join(self._root, folder.lstrip("/"))
        if os.path.isdir(source):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(source, place)

    def close(self) -> None:
        """Ends the machine at once: there is nothing in it to be kept."""
        if self._nspawn is not None:
            if self._nspawn.poll() is None:
                try:
                    os.kill(self.leader or self._nspawn.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                try:
                    self._nspawn.wait(20)
                except subprocess.TimeoutExpired:
                    self._nspawn.kill()
                    self._nspawn.wait()
            self._nspawn = None
        _sweep(self.folder, self._cgroups)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
