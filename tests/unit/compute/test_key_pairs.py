from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from reconcilers.compute import ssh_key
from reconcilers.compute.keypair import KeyPair
from reconcilers.model import Failed, Gone, Ready, Replace

KEYPAIR = "OS::Nova::KeyPair"
GIVEN = "ssh-rsa AAAAB3 me@host"


@pytest.fixture
def mine(desire, record):
    """A record as the engine makes it from the intent."""

    def build(given, **more):
        desired = desire(KEYPAIR, given)
        noted = record(data=KeyPair().intent(desired), created_at="2026-01-01T10:00:00Z", **more)
        return desired, replace(noted, physical_id=KeyPair().identity(noted))

    return build


def test_one_secret_gives_one_pair_to_the_last_byte():
    pair = ssh_key.derive(b"x" * 32)
    assert ssh_key.private(pair) == ssh_key.private(ssh_key.derive(b"x" * 32))
    assert ssh_key.public(pair) != ssh_key.public(ssh_key.derive(b"y" * 32))


def test_the_private_key_opens_and_fits_the_public_one():
    pair = ssh_key.derive(b"x" * 32)
    opened = load_ssh_private_key(ssh_key.private(pair).encode(), password=None)
    assert opened.public_key() == load_ssh_public_key(ssh_key.public(pair).encode())


def test_no_key_comes_from_nothing():
    with pytest.raises(ValueError, match="nothing"):
        ssh_key.derive(b"")


def test_a_pair_that_is_not_given_is_made_here_and_only_its_public_half_is_sent(mine):
    desired, noted = mine({"name": "k", "save_private_key": True})
    body = KeyPair().step(desired, noted, None).request.body["keypair"]
    assert body == {"name": "k", "public_key": ssh_key.public(ssh_key.derive(desired.seed))}
    found = KeyPair().attributes(desired, noted, {"name": "k", "public_key": body["public_key"]})
    assert found["private_key"] == ssh_key.private(ssh_key.derive(desired.seed))


def test_the_private_key_is_empty_unless_it_was_made_here_and_asked_for(mine):
    for given in ({"name": "k"}, {"name": "k", "public_key": GIVEN, "save_private_key": True}):
        desired, noted = mine(given)
        assert KeyPair().attributes(desired, noted, {"name": "k"})["private_key"] == ""


def test_type_and_user_are_passed_on(mine):
    desired, noted = mine({"name": "k", "public_key": GIVEN, "type": "ssh", "user": "u1"})
    body = KeyPair().step(desired, noted, None).request.body["keypair"]
    assert body == {"name": "k", "public_key": GIVEN, "type": "ssh", "user_id": "u1"}
    assert KeyPair().read(noted).params == {"user_id": "u1"}


def test_names_that_only_newer_novas_take_are_sent_to_those(mine):
    assert KeyPair().step(*mine({"name": "a b-c_1"}), None).request.microversion == "2.10"
    assert KeyPair().step(*mine({"name": "a.b@c"}), None).request.microversion == "2.92"


def test_an_x509_pair_cannot_be_made_here(mine):
    outcome = KeyPair().step(*mine({"name": "k", "type": "x509"}), None)
    assert isinstance(outcome, Failed)
    assert outcome.property == "public_key"


def test_the_name_is_the_id_and_may_need_quoting(mine):
    _, noted = mine({"name": "a key/1"})
    assert noted.physical_id == "a key/1"
    assert KeyPair().read(noted).path == "/os-keypairs/a%20key%2F1"


def test_only_the_same_key_not_older_than_the_record_is_ours(mine):
    _, noted = mine({"name": "k", "public_key": GIVEN})
    shown = {"name": "k", "public_key": f"{GIVEN}\n", "created_at": "2026-01-01T10:00:01.000000"}
    assert KeyPair().owned(shown, noted)
    assert KeyPair().owned({"keypair": {**shown, "created_at": None}}, noted)
    assert not KeyPair().owned({**shown, "created_at": "2026-01-01T09:00:00.000000"}, noted)
    assert not KeyPair().owned({**shown, "public_key": "ssh-rsa other"}, noted)


def test_a_key_made_here_is_ours_whatever_the_clocks_say(mine):
    desired, noted = mine({"name": "k"})
    public = ssh_key.public(ssh_key.derive(desired.seed))
    assert KeyPair().owned({"name": "k", "public_key": public, "created_at": "2020-01-01T00:00:00"}, noted)


def test_it_is_ready_as_soon_as_it_is_there_and_gone_when_it_is_not(mine):
    desired, noted = mine({"name": "k"})
    assert isinstance(KeyPair().step(desired, noted, {"name": "k"}), Ready)
    assert KeyPair().step(None, noted, {"name": "k"}).request.method == "DELETE"
    assert KeyPair().step(None, noted, None) == Gone()


def test_a_replacement_of_the_same_name_waits_for_the_old_one_to_go(mine, desire):
    _, noted = mine({"name": "k", "public_key": GIVEN})
    other = desire(KEYPAIR, {"name": "k", "public_key": "ssh-rsa other"}, {"public_key"})
    assert KeyPair().replacement(other, noted, {}) == Replace("public_key changed", delete_first=True)
    renamed = desire(KEYPAIR, {"name": "l", "public_key": GIVEN}, {"name"})
    assert KeyPair().replacement(renamed, noted, {}) == Replace("name changed", delete_first=False)


def test_another_key_under_the_name_is_drift(mine):
    desired, _ = mine({"name": "k", "public_key": GIVEN})
    assert KeyPair().drift(desired, {"keypair": {"name": "k", "public_key": GIVEN}}) == set()
    assert KeyPair().drift(desired, {"keypair": {"name": "k", "public_key": "ssh-rsa other"}}) == {"public_key"}


def test_the_bulk_list_wraps_each_pair():
    assert list(KeyPair().identify({"keypair": {"name": "k"}})) == ["k"]
