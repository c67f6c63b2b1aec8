"""Names, policies and settings."""

import argparse

import pytest

from kiln.api import v1alpha1
from kiln.process import manager
from kiln.settings import Settings


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
    manager.add_command(parser.add_subparsers(), "run the operator")
    line = "run -n a --namespace b --metrics-port 0 --log-format json --no-lease --identity me"
    line += " --deny-cloud-network 10.0.0.0/8"
    settings = manager.settings_of(parser.parse_args(line.split()))
    assert settings.namespaces == ("a", "b")
    assert (settings.metrics_port, settings.log_format, settings.lease) == (0, "json", False)
    assert settings.denied_networks == ("10.0.0.0/8",)
    assert settings.identity == "me"


def test_replicas_have_different_names():
    assert Settings().identity != Settings().identity
