"""The set-up: run.py in a separate folder, the locks, and the container files."""

import ast
import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import run

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = {
    "requirements.lock": PYPROJECT["project"]["dependencies"],
    "requirements-dev.lock": PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"],
    "requirements-browser.lock": PYPROJECT["dependency-groups"]["browser"],
    "requirements-servers.lock": PYPROJECT["dependency-groups"]["servers"],
}
ENTRY = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)(?P<marker> ; [^\\]+)? \\$", re.MULTILINE)


# run.py with real pip: the project needs a single wheel, made here, so pip fetches no package.


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with run.py, a lock with a small wheel per test need, and a bot that prints the arguments."""
    for name in ("run.py", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    brick = make_wheel(wheels, "brick", "colour = 'red'")
    pytest_stand_in = make_wheel(wheels, "pytest", "import sys; print('pytest', *sys.argv[1:])")
    (tmp_path / "requirements.lock").write_text(brick)
    (tmp_path / "requirements-dev.lock").write_text(brick + pytest_stand_in)
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "__main__.py").write_text("import brick, sys; print('bot', brick.colour, *sys.argv[1:])")
    return tmp_path


def make_wheel(folder: Path, name: str, code: str) -> str:
    """Make a wheel with a single module, and return the wheel's line for a lock."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = [
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for file, text in files.items()
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*records, f"{info}/RECORD,,"]))
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def start_run_py(project: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start run.py of the project from another folder, with a person's `PIP_USER` setting."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(project / "wheels"), "PIP_USER": "1"}
    return subprocess.Popen(
        [sys.executable, str(project / "run.py"), *arguments],
        cwd=project.parent,
        env=environment | {"PIP_CONFIG_FILE": os.devnull, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def run_run_py(project: Path, *arguments: str) -> list[str]:
    """Run run.py, check the exit code, and return the printed lines."""
    process = start_run_py(project, *arguments)
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 0, output
    return output.splitlines()


def test_the_first_run_installs_and_later_runs_do_not(project: Path) -> None:
    first = run_run_py(project, "demo", "--once", "/imagine a fox")
    (project / "wheels").rename(project / "gone")
    second = run_run_py(project, "demo")

    assert first[0].startswith("First run: setting up .venv")
    assert first[-1] == "bot red demo --once /imagine a fox"
    assert second == ["bot red demo"]


def test_the_test_packages_are_added_and_the_demo_still_runs(project: Path) -> None:
    run_run_py(project, "demo")
    added = run_run_py(project, "test", "-k", "fox")
    demo = run_run_py(project, "demo")

    assert added[0].startswith("Adding the test packages")
    assert added[-1] == "pytest -k fox"
    assert demo == ["bot red demo"]


def test_a_changed_lock_is_installed_again(project: Path) -> None:
    run_run_py(project, "demo")
    (project / "requirements.lock").write_text(make_wheel(project / "wheels", "brick", "colour = 'blue'"))

    assert run_run_py(project, "demo")[-1] == "bot blue demo"


def test_concurrent_starts_do_not_harm_each_other(project: Path) -> None:
    both = [start_run_py(project, "demo"), start_run_py(project, "demo")]
    outputs = [process.communicate(timeout=50)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert "".join(outputs).count("First run") == 1
    assert all(output.endswith("bot red demo\n") for output in outputs)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles only")
def test_an_installation_stopped_by_ctrl_c_is_repaired(project: Path) -> None:
    process = start_run_py(project, "demo")
    assert process.stdout
    assert process.stdout.readline().startswith("First run")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=50)

    assert process.returncode == 1
    assert output.endswith("Stopped. Run the same command again: it takes up from a clean start.\n")
    assert run_run_py(project, "demo")[-1] == "bot red demo"


def test_a_failed_installation_is_reported_and_retried(project: Path) -> None:
    (project / "wheels").rename(project / "gone")
    process = start_run_py(project, "demo")
    output, _ = process.communicate(timeout=50)
    (project / "gone").rename(project / "wheels")

    assert process.returncode == 1
    assert output.endswith("Setting up .venv did not work: pip's words are above. Run the same command to try again.\n")
    assert run_run_py(project, "demo")[-1] == "bot red demo"


def test_clean_removes_the_environment(project: Path) -> None:
    (project / ".venv").mkdir()

    assert run_run_py(project, "--clean") == ["Removed .venv."]
    assert not (project / ".venv").exists()


def test_without_a_verb_the_help_is_printed(project: Path) -> None:
    assert "python3 run.py demo" in "\n".join(run_run_py(project))
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(("answer", "found"), [("", "no pip"), ("pip 20.0.2 from /x (python 3.11)", "pip 20.0")])
def test_a_missing_or_old_pip_is_reported_with_a_sentence(
    answer: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_base_executable", sys.executable)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 0, answer, ""))

    with pytest.raises(SystemExit, match=rf"needs pip 22\.3 or newer for .*, which has {found}"):
        run.python_with_pip()


def test_an_old_python_can_parse_run_py() -> None:
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_run_py_imports_the_standard_library_alone() -> None:
    tree = ast.parse((ROOT / "run.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


# The locks.


def parse_lock(lock: str) -> dict[str, dict[str, object]]:
    """Return `{package: {"version", "hashes", "via"}}` of a lock."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found = {}
    matches = list(ENTRY.finditer(text))
    ends = [match.start() for match in matches[1:]] + [len(text)]
    for match, end in zip(matches, ends, strict=True):
        body = text[match.end() : end]
        via = [name for name in re.findall(r"^    #(?: via)? +(\S.*)$", body, re.MULTILINE) if name != "via"]
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}", body)
        found[match["name"]] = {"version": match["version"], "hashes": hashes, "via": via}
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_was_written_from_this_pyproject(lock: str) -> None:
    first_line = (ROOT / lock).read_text(encoding="utf-8").splitlines()[0]

    assert first_line.endswith(f" {run.fingerprint()}"), "pyproject.toml has changed: python3 run.py lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_each_dependency_is_locked_at_a_version_that_fits(lock: str) -> None:
    locked = parse_lock(lock)

    for requirement in map(Requirement, LOCKS[lock]):
        version = str(locked[canonicalize_name(requirement.name)]["version"])
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"


@pytest.mark.parametrize("lock", LOCKS)
def test_each_entry_has_hashes_and_a_dependent(lock: str) -> None:
    locked = parse_lock(lock)
    needed: set[str] = set()
    unread = [f"easel-bot (pyproject.toml{group})" for group in ("", ":dev", ":browser", ":servers")]
    while unread:
        parent = unread.pop()
        children = {name for name, entry in locked.items() if parent in to_list(entry["via"])} - needed
        needed |= children
        unread += children

    assert needed == set(locked)
    assert all(entry["hashes"] for entry in locked.values())
    assert len(re.findall(r"^[A-Za-z]", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)) == len(locked)


def to_list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def test_the_locks_agree() -> None:
    bot, with_tests, *others = ({name: entry["version"] for name, entry in parse_lock(lock).items()} for lock in LOCKS)

    assert bot.items() <= with_tests.items()
    for lock in others:
        assert {name: with_tests.get(name, version) for name, version in lock.items()} == lock


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_host_or_a_path(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")

    assert not re.search(r"://|index-url|find-links|trusted-host| @ ", text)


# The container files, read as text: the checks need no container engine.


def list_instructions(stage: int) -> list[str]:
    """Return the instructions of a stage of the Dockerfile, a line each."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    stages = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    return [line for line in stages[stage].splitlines() if line and not line.startswith("#")]


def test_the_image_installs_from_the_lock_with_hashes() -> None:
    install = next(line for line in list_instructions(0) if "pip" in line)

    assert "--require-hashes" in install
    assert "--only-binary=:all:" in install
    assert "-r requirements.lock" in install


def test_the_image_runs_without_root_with_a_health_check_and_stop_signal() -> None:
    final = list_instructions(-1)
    health = next(line for line in final if line.startswith("HEALTHCHECK"))

    assert "USER 999:999" in final
    assert final.index("USER 999:999") > max(n for n, line in enumerate(final) if line.startswith("RUN"))
    assert "STOPSIGNAL SIGTERM" in final
    assert json.loads(health.partition("CMD ")[2]) == ["python", "-m", "bot", "health"]
    assert list_instructions(0)[0].split()[1] == final[0].split()[1], "the same Python in both stages"


def test_the_build_context_holds_copied_files_alone() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [line.split()[1] for line in list_instructions(0) if line.startswith("COPY")]

    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert sorted(kept) == sorted(copied)


def read_service(name: str) -> str:
    """Return a service's block of compose.yaml, without comments."""
    text = re.sub(r"^ *#.*\n| +#.*$", "", (ROOT / "compose.yaml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    match = re.search(rf"^  {name}:\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert match
    return match[1]


@pytest.mark.parametrize(
    "line",
    [
        "    read_only: true",
        "    tmpfs: [/tmp]",
        "    cap_drop: [ALL]",
        '    security_opt: ["no-new-privileges:true"]',
        "    init: true",
        "    mem_limit: 1g",
        '    ports: ["127.0.0.1:8765:8765"]',
        "    stop_grace_period: 60s",
        "        condition: service_healthy",
    ],
)
def test_the_service_has_no_extra_privileges(line: str) -> None:
    assert line in read_service("bot").splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "    read_only: true",
        "    cap_drop: [ALL]",
        '    security_opt: ["no-new-privileges:true"]',
        '    user: "999:999"',
        "    mem_limit: 1g",
        "    pids_limit: 256",
    ],
)
def test_postgres_has_no_extra_privileges(line: str) -> None:
    assert line in read_service("postgres").splitlines()


def test_each_image_can_be_pinned_by_digest() -> None:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")

    assert "    image: ${POSTGRES_IMAGE:-postgres:17}" in read_service("postgres").splitlines()
    assert "        PYTHON_IMAGE: ${PYTHON_IMAGE:-python:3.12-slim}" in read_service("bot").splitlines()
    assert {list_instructions(stage)[0].split()[1] for stage in (0, -1)} == {"${PYTHON_IMAGE}"}
    assert "@sha256:DIGEST" in compose


def test_postgres_is_optional_and_has_a_health_check() -> None:
    assert "    profiles: [postgres]" in read_service("postgres")
    assert "pg_isready" in read_service("postgres")
    assert "        required: false" in read_service("bot")


def test_secrets_of_the_service_are_declared_files_ignored_by_git() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    declared = dict(re.findall(r"^  (\w+):\n    file: (\S+)$", text, re.MULTILINE))

    for secret in re.findall(r"^      - (\w+)$", read_service("bot"), re.MULTILINE):
        assert f"{secret.upper()}_FILE: /run/secrets/{secret}" in read_service("bot")
        assert secret in declared
    assert {path.split("/")[0] for path in declared.values()} == {"secrets"}
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
