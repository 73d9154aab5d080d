"""Set Easel up and start it: `python3 run.py demo`, `python3 run.py test`, or any verb of `python -m bot`.

The first run makes `.venv` beside this file and installs the hashed wheels of a lock into it; later runs see its
stamp and start at once, offline too. It needs Python 3.11 with pip 22.3 and touches nothing outside this folder.

    python3 run.py demo            try everything here, without a token (Windows: py run.py demo)
    python3 run.py test            install the test packages and run the suite; options go to pytest
    python3 run.py doctor          or another verb of `python -m bot`
    python3 run.py generate        write README's command tables and slack-manifest.yaml from the menu of commands
    python3 run.py lock            write the locks anew from pyproject.toml (--upgrade: newest versions); needs uv
    python3 run.py --clean [verb]  remove .venv first
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Nothing above or below uses syntax newer than Python 3.6, so that an old one gets as far as this sentence.
if sys.version_info < (3, 11):  # noqa: UP036 - older Pythons land here
    sys.exit(f"Easel needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed"
BOT_LOCK = "requirements.lock"
TEST_LOCK = "requirements-dev.lock"
BROWSER_LOCK = "requirements-browser.lock"  # 200 MB that only the page's own tests need: installed by .ci/run
SERVERS_LOCK = "requirements-servers.lock"  # real model servers for the tests of backends: installed by .ci/run


def main(arguments: list[str]) -> None:
    os.chdir(ROOT)  # .env and data/ are found here, from wherever we are called
    if arguments[:1] == ["--clean"]:
        clean()
        arguments = arguments[1:] or sys.exit()
    verb, *options = arguments or ["--help"]
    if verb == "lock":
        write_locks(options)
    elif verb == "test":
        start(TEST_LOCK, ["-m", "pytest", *options])
    elif verb == "generate":
        start(BOT_LOCK, ["-m", "tests.generated_files"])
    elif verb.startswith("-"):
        print(__doc__)
    else:
        start(BOT_LOCK, ["-m", "bot", *arguments])


def clean() -> None:
    with one_at_a_time():
        shutil.rmtree(VENV, ignore_errors=True)
    print("Removed .venv.")


def start(lock: str, arguments: list[str]) -> None:
    """Install what `lock` names unless that is done, then become the Python of .venv."""
    if not is_installed(lock):
        with one_at_a_time():
            if not is_installed(lock):  # another run may have done it while we waited
                install(lock)
    command = [str(PYTHON), *arguments]
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the child, which closes in order
        sys.exit(subprocess.call(command))
    os.execv(PYTHON, command)  # noqa: S606 - no shell wanted


def is_installed(lock: str) -> bool:
    """Whether .venv holds what `lock` names; the test packages include the bot's."""
    with contextlib.suppress(OSError):
        return PYTHON.exists() and STAMP.read_text() in (stamp(lock), stamp(TEST_LOCK))
    return False


def stamp(lock: str) -> str:
    """A line that changes with the Python version and the locks' content."""
    content = b"".join((ROOT / name).read_bytes() for name in sorted({BOT_LOCK, lock}))
    return f"{lock} {hashlib.sha256(content + sys.version.encode()).hexdigest()}"


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of two runs at once one sets up and the other waits. The system drops the lock of a run that dies."""
    with open(__file__, "r+b") as file:
        if not try_lock(file.fileno()):
            print("Another run.py is setting up .venv here; waiting for it …", flush=True)
            while not try_lock(file.fileno()):
                time.sleep(0.2)
        yield


def try_lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, 1 << 30, os.SEEK_SET)  # past the end, where nobody reads
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def install(lock: str) -> None:
    """Make .venv, unless only the test packages are missing, and install into it. The stamp comes last."""
    pip = python_with_pip()
    began = time.monotonic()
    if lock == TEST_LOCK and is_installed(BOT_LOCK):
        print("Adding the test packages to .venv, about 10 s …", flush=True)
    else:
        print("First run: setting up .venv, about 15 s …", flush=True)
        import venv

        venv.create(VENV, with_pip=False, clear=True, symlinks=os.name != "nt")
    STAMP.unlink(missing_ok=True)
    options = ["--require-hashes", "--only-binary=:all:", "--no-compile", "--no-input", "--disable-pip-version-check"]
    command = [pip, "-m", "pip", "--python", str(PYTHON), "install", "-qq", *options, "-r", lock]
    # PIP_USER=0: a person's own "always --user" does not fit a virtual environment.
    if subprocess.call(command, env=os.environ | {"PIP_USER": "0"}):
        sys.exit("Setting up .venv did not work: pip's words are above. Run the same command to try again.")
    STAMP.write_text(stamp(lock))
    print(f"Set up in {time.monotonic() - began:.0f} s; the next start is immediate and needs no network.", flush=True)


def python_with_pip() -> str:
    """The Python whose pip installs: this one, or the one this virtual environment was made from."""
    versions = []
    for python in dict.fromkeys([sys.executable, getattr(sys, "_base_executable", sys.executable)]):
        asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
        found = re.match(r"pip (\d+)\.(\d+)", asked.stdout)
        if found and (int(found[1]), int(found[2])) >= (22, 3):
            return python
        versions += [found[0]] if found else []
    sys.exit(
        f"Easel needs pip 22.3 or newer for {sys.executable}, which has {' and '.join(versions) or 'no pip'}. "
        "On Debian and Ubuntu: sudo apt install python3-pip. Elsewhere: python3 -m ensurepip --upgrade"
    )


def write_locks(options: list[str]) -> None:
    """Pin every dependency for all Pythons and systems with hashes, wheels only, and no index host."""
    uv = shutil.which("uv") or sys.exit("`run.py lock` needs uv on the PATH: pipx install uv")
    compiling = [uv, "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    plain = ["--only-binary=:all:", "--no-header", "--no-emit-index-url", *options]
    wanted = {
        BOT_LOCK: ["pyproject.toml"],
        TEST_LOCK: ["pyproject.toml", "--group=dev", f"--constraint={BOT_LOCK}"],
        BROWSER_LOCK: ["--group=browser", f"--constraint={TEST_LOCK}"],
        SERVERS_LOCK: ["--group=servers", f"--constraint={TEST_LOCK}"],
    }
    for lock, sources in wanted.items():
        subprocess.run([*compiling, *plain, *sources, f"--output-file={lock}"], check=True)
        header = f"# Written by `python3 run.py lock` from pyproject.toml {fingerprint()}\n"
        (ROOT / lock).write_text(header + (ROOT / lock).read_text(encoding="utf-8"), encoding="utf-8")


def fingerprint() -> str:
    """A sha256 of what pyproject.toml says about dependencies; a test compares it with the locks' first line."""
    import tomllib

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    said = [project["requires-python"], project["dependencies"], pyproject["dependency-groups"]]
    return hashlib.sha256(json.dumps([*said, project.get("optional-dependencies")]).encode()).hexdigest()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run the same command again: it takes up from a clean start.")
