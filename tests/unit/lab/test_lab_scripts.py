"""The lab's scripts, as far as they can be tried without starting the lab."""

import os
import subprocess
from pathlib import Path

import pytest

LAB = Path(__file__).parents[3] / "tests" / "lab"
FIRST_OUTGOING_PORT = 32768  # Linux hands out ports from here on for outgoing connections


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("run", "log", "bin"):
        (tmp_path / name).mkdir()
    return tmp_path


def bash(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that has the lab's functions, with a KILN_HOME of its own."""
    return subprocess.run(
        ["bash", "-euc", f'. "{LAB}/lib.sh"\n{script}'],
        env={**os.environ, "KILN_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def lab(*arguments: str, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [LAB / "lab", *arguments],
        env={**bare, "KILN_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_ports_of_labs_side_by_side_are_distinct_and_below_the_outgoing_range(home: Path) -> None:
    result = bash('for name in "${!BASE_PORTS[@]}"; do port "$name"; done', home)
    ports = {int(line) for line in result.stdout.split()}
    assert len(ports) == len(result.stdout.split())
    for offset in (500, 1000):
        assert not ports & {port + offset for port in ports}
    assert max(ports) + 1000 < FIRST_OUTGOING_PORT


def test_a_component_runs_from_launch_to_stop_and_is_launched_once(home: Path) -> None:
    script = """
    launch sleeper sleep 60
    first=$(read_pid sleeper)
    launch sleeper sleep 60
    [ "$(read_pid sleeper)" = "$first" ] && echo same
    is_running sleeper && echo running
    stop sleeper
    is_running sleeper || echo stopped
    [ -e "/proc/$first" ] && [ -n "$(start_tick "$first")" ] || echo gone
    """
    assert bash(script, home).stdout.split() == ["same", "running", "stopped", "gone"]


def test_a_pid_that_another_program_got_is_neither_running_nor_killed(home: Path) -> None:
    script = """
    setsid sleep 60 & other=$!
    sleep 0.1
    echo "$other 1 $BOOT_ID" >"$RUN_DIR/sleeper.pid"
    is_running sleeper || echo stale
    stop sleeper
    kill -0 "$other" && echo spared
    kill "$other"
    """
    assert bash(script, home).stdout.split() == ["stale", "spared"]


def test_a_pid_file_from_before_a_restart_of_the_machine_is_not_believed(home: Path) -> None:
    script = """
    launch sleeper sleep 60
    pid=$(read_pid sleeper)
    is_cut_off sleeper || echo fresh
    read -r words <"$RUN_DIR/sleeper.pid"
    echo "${words% *} another-boot" >"$RUN_DIR/sleeper.pid"
    is_running sleeper || echo stale
    is_cut_off sleeper && echo cut-off
    kill "$pid"
    """
    assert bash(script, home).stdout.split() == ["fresh", "stale", "cut-off"]


def test_the_environment_names_the_kubeconfig_the_clouds_and_the_path(home: Path) -> None:
    result = lab("env", home=home)
    exports = f"export KUBECONFIG={home}/kube/kubeconfig OS_CLIENT_CONFIG_FILE={home}/cloud/clouds.yaml OS_CLOUD=demo"
    assert result.stdout == f'{exports} PATH={home}/bin:"$PATH"\n'


def test_an_external_lab_passes_on_what_the_caller_has(home: Path) -> None:
    own = {"KUBECONFIG": "/mine/config", "OS_CLOUD": "mine", "OS_CLIENT_CONFIG_FILE": "/mine/clouds.yaml"}
    result = lab("env", home=home, LAB="external", **own)
    assert result.stdout == "export " + " ".join(f"{name}={value}" for name, value in own.items()) + "\n"


@pytest.mark.parametrize("command", ["up", "env", "status"])
def test_an_external_lab_without_a_kubeconfig_is_refused(home: Path, command: str) -> None:
    result = lab(command, home=home, LAB="external", OS_CLOUD="mine")
    assert result.returncode == 1
    assert "needs KUBECONFIG" in result.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"LAB_PORT_OFFSET": "many"}, "LAB_PORT_OFFSET must be a whole number"),
        ({"LAB_SERVICES": "core octopus"}, "'octopus' is none of: core all keystone"),
        ({"LAB_WORKERS": "0"}, "LAB_WORKERS must be a positive number"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_a_reason(
    home: Path, settings: dict[str, str], message: str
) -> None:
    result = lab("status", home=home, **settings)
    assert result.returncode == 1
    assert message in result.stderr


def test_a_folder_with_a_space_is_refused(home: Path) -> None:
    result = lab("status", home=home / "two words")
    assert result.returncode == 1
    assert "must not contain spaces" in result.stderr


def test_a_component_that_does_not_exist_is_refused_with_the_names_of_those_that_do(home: Path) -> None:
    result = lab("restart", "kube-scheduler", home=home)
    assert result.returncode == 1
    assert "no component 'kube-scheduler'; there are: etcd kube-apiserver" in result.stderr


def test_a_component_that_was_killed_behind_the_labs_back_is_started_anew(home: Path) -> None:
    script = """
    launch sleeper sleep 60
    first=$(read_pid sleeper)
    kill -9 "$first"; wait "$first" 2>/dev/null || true
    is_running sleeper || echo gone
    launch sleeper sleep 60
    is_running sleeper && [ "$(read_pid sleeper)" != "$first" ] && echo anew
    kill_hard sleeper
    """
    result = bash(script, home)
    assert result.stdout.split() == ["gone", "anew"], result.stderr


def test_a_command_that_fails_never_does_so_without_a_word(home: Path) -> None:
    result = bash("trap tell_end EXIT; false", home)
    assert result.returncode == 1
    assert "ended with code 1" in result.stderr
    told = bash("trap tell_end EXIT; die why", home)
    assert told.stderr.count("error") == 1
