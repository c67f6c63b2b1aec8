"""Names, policies and settings."""

import argparse
import dataclasses

import pytest

from kiln.api import v1alpha1
from kiln.settings import Settings, add_options, from_arguments


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_durations_are_go_s(text, seconds):
    assert v1alpha1.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "5mx", "x5m"])
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        v1alpha1.parse_duration(text)


def test_a_spec_has_the_crd_s_defaults(stack):
    spec = v1alpha1.stack_spec(stack())
    assert (spec.on_failure, spec.drift, spec.deletion_policy) == ("Retry", "Correct", "Delete")
    assert (spec.resync_interval, spec.timeout, spec.max_concurrency) == (600, 3600, 16)


def test_settings_come_from_the_command_line():
    parser = argparse.ArgumentParser()
    add_options(parser)
    line = "-n a --namespace b --metrics-port 0 --log-format json --no-lease --identity me"
    line += " --deny-cloud-network 10.0.0.0/8"
    settings = from_arguments(parser.parse_args(line.split()))
    assert settings.namespaces == ("a", "b")
    assert (settings.metrics_port, settings.log_format, settings.lease) == (0, "json", False)
    assert settings.denied_networks == ("10.0.0.0/8",)
    assert settings.identity == "me"


def test_a_command_line_without_options_gives_the_defaults():
    parser = argparse.ArgumentParser()
    add_options(parser)
    given = from_arguments(parser.parse_args([]))
    assert dataclasses.replace(given, identity="") == dataclasses.replace(Settings(), identity="")


@pytest.mark.parametrize("line", ["--metrics-port x", "--log-level verbose", "--max-active"])
def test_an_option_of_another_type_is_refused(line, capsys):
    parser = argparse.ArgumentParser()
    add_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(line.split())
    assert line.split()[0] in capsys.readouterr().err


def test_replicas_have_different_names():
    assert Settings().identity != Settings().identity
