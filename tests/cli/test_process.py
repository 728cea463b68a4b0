"""The command as a shell sees it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

CALL = [sys.executable, "-c", "from dtp_scvi.cli import main; main()"]
COMMANDS = ["demo", "evaluate", "train", "distill", "score", "drugs", "survival", "models", "card"]
HEAVY = "torch scvi scanpy anndata pandas sklearn matplotlib"


def run(*arguments: str, cwd=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CALL, *arguments], capture_output=True, text=True, check=False, timeout=120, cwd=cwd
    )


def test_help_is_quick_and_names_every_command():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = run("--help")
        seconds.append(time.perf_counter() - start)
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    # The fastest of three: the others may have waited for a core.
    assert min(seconds) < 1


def test_the_command_loads_nothing_heavy_before_it_runs():
    code = f"import sys, dtp_scvi.cli; print(*[n for n in '{HEAVY}'.split() if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(dtp_command, command):
    from typer.main import get_command

    from dtp_scvi.cli import app

    parameters = get_command(app).commands[command].params
    assert parameters
    assert [p.name for p in parameters if not getattr(p, "help", None)] == []
    assert dtp_command(command, "--help").code == 0


def test_bad_input_goes_to_stderr_with_exit_code_2(tmp_path):
    done = run("score", "none.h5ad", "--model", "none", "--out", "x.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_version():
    from dtp_scvi import __version__

    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"dtp-scvi {__version__}\n")
