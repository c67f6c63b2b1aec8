"""Connections to clouds: shared, bounded, and not to everywhere."""

import asyncio
import socket
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from keystoneauth1.exceptions import ConnectFailure

from kiln.clouds.address_guard import AddressDenied, AddressGuard, default_denied
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential
from reconcilers.cloud.limits import AnswerRefused


def credential(digest="d", **options):
    auth = {"auth_url": "http://127.0.0.1:1/v3", "token": "t", "project_id": "p"}
    return Credential("demo", "token", auth, digest=digest, **options)


@pytest.fixture
async def clouds():
    made = CloudConnections(AddressGuard())
    yield made
    made.close()


async def test_equal_credentials_share_a_connection(clouds):
    first, second = await asyncio.gather(clouds.get(credential()), clouds.get(credential()))
    assert first is second
    assert await clouds.get(credential("other")) is not first


async def test_settings_of_the_clouds_yaml_reach_the_sdk(clouds):
    found = await clouds.get(credential(region_name="RegionOne", options={"interface": "internal"}))
    assert found.config.region_name == "RegionOne"
    assert found.config.get_interface("compute") == "internal"


async def test_the_pool_fits_the_threads():
    clouds = CloudConnections(AddressGuard(), threads=7)
    connection = await clouds.get(credential())
    assert connection.session.session.get_adapter("https://x").poolmanager.connection_pool_kw["maxsize"] == 7
    clouds.close()


async def test_a_connection_that_nobody_uses_is_closed(clouds, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock[0])
    first = await clouds.get(credential())
    clock[0] = 1799.0
    assert await clouds.get(credential()) is first
    clock[0] = 3600.0
    await clouds.get(credential("other"))
    assert list(clouds._entries) == ["other"]


def test_inline_certificates_lie_in_a_private_file_that_goes():
    clouds = CloudConnections(AddressGuard())
    connection = asyncio.run(clouds.get(credential(cacert="PEM")))
    path = Path(connection.session.verify)
    assert path.read_text() == "PEM"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    clouds.close()
    assert not path.exists()


async def test_tls_is_verified_unless_told_otherwise(clouds):
    assert (await clouds.get(credential())).session.verify is True
    assert (await clouds.get(credential("2", verify=False))).session.verify is False


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "10.0.0.1"])
def test_a_denied_address_is_refused(address):
    with pytest.raises(AddressDenied):
        AddressGuard([*default_denied(), "10.0.0.0/8"]).check(address)


def test_other_addresses_are_not():
    guard = AddressGuard(["10.0.0.0/8", "::1/128"])
    for address in ("192.0.2.1", "2001:db8::1", "127.0.0.1"):
        guard.check(address)


def test_what_is_allowed_wins():
    AddressGuard(["10.0.0.0/8"], ["10.1.0.0/16"]).check("10.1.2.3")


def test_in_a_pod_loopback_and_the_kubernetes_api_are_denied(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert {"127.0.0.0/8", "10.96.0.1"} <= set(default_denied())
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert "127.0.0.0/8" not in default_denied()


@pytest.fixture
def keystone():
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://localhost:{server.server_port}", asked
    server.shutdown()
    server.server_close()


async def test_nothing_is_sent_to_a_denied_place_whatever_name_leads_there(keystone):
    url, asked = keystone
    guarded = CloudConnections(AddressGuard(["127.0.0.0/8", "::1/128"]))
    connection = await guarded.get(credential())
    with pytest.raises(ConnectFailure, match="settings forbid"):
        await asyncio.to_thread(connection.session.get, f"{url}/latest/meta-data", authenticated=False)
    assert asked == []
    guarded.close()


async def test_other_places_are_reached(clouds, keystone):
    url, asked = keystone
    connection = await clouds.get(credential())
    await asyncio.to_thread(connection.session.get, f"{url}/v3", authenticated=False)
    assert asked == ["/v3"]


async def test_a_denied_place_does_not_even_see_a_connection():
    # Otherwise the answer would tell which ports of the cluster's inside are open.
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        guarded = CloudConnections(AddressGuard(["127.0.0.0/8", "::1/128"]))
        connection = await guarded.get(credential())
        for scheme in ("http", "https"):
            url = f"{scheme}://localhost:{server.getsockname()[1]}/v3"
            with pytest.raises(ConnectFailure, match="settings forbid"):
                await asyncio.to_thread(connection.session.get, url, authenticated=False)
        with pytest.raises(TimeoutError):
            server.accept()
        guarded.close()


async def test_a_name_that_leads_elsewhere_at_the_second_question_gains_nothing(keystone, monkeypatch):
    url, asked = keystone
    port = int(url.rpartition(":")[2])
    guarded = CloudConnections(AddressGuard(["127.0.0.1/32", "::1/128"]))
    connection = await guarded.get(credential())
    answers = iter([[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))]])
    real = socket.getaddrinfo
    monkeypatch.setattr(
        "kiln.clouds.transport.socket.getaddrinfo", lambda *args, **kwargs: next(answers, None) or real(*args, **kwargs)
    )
    # What was checked is what is connected to: nothing listens there.
    with pytest.raises(ConnectFailure):
        await asyncio.to_thread(connection.session.get, f"{url}/v3", authenticated=False)
    assert asked == []
    guarded.close()


async def test_a_redirect_leads_to_no_denied_place(clouds):
    hits = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    guarded = CloudConnections(AddressGuard(default_denied()))
    connection = await guarded.get(credential())
    try:
        url = f"http://127.0.0.1:{server.server_port}/v3"
        with pytest.raises(AnswerRefused, match="redirect to another host"):
            await asyncio.to_thread(connection.session.get, url, authenticated=False)
        assert hits == ["/v3"]
    finally:
        guarded.close()
        server.shutdown()
        server.server_close()


async def test_what_stands_in_the_operator_s_own_surroundings_reaches_no_tenant(tmp_path, monkeypatch):
    own = {"clouds": {"demo": {"auth": {"auth_url": "http://own/v3", "password": "own", "username": "own"}}}}
    for name in ("clouds.yaml", "secure.yaml", "clouds-public.yaml"):
        (tmp_path / name).write_text(yaml.safe_dump(own))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(tmp_path / "secure.yaml"))
    for name in ("CLOUD", "USERNAME", "PASSWORD", "PROJECT_NAME", "REGION_NAME", "CACERT", "IDENTITY_API_VERSION"):
        monkeypatch.setenv(f"OS_{name}", "own")
    clouds = CloudConnections(AddressGuard())
    connection = await clouds.get(credential(region_name="theirs"))
    config = connection.config
    assert "own" not in repr((config.config, config.region_name, vars(connection.session.auth)))
    assert connection.session.auth.auth_url == "http://127.0.0.1:1/v3"
    assert connection.session.verify is True
    clouds.close()


async def test_a_place_that_cannot_be_reached_shows_soon(clouds, monkeypatch):
    waited = []

    def send(_self, _request, **kwargs):
        waited.append(kwargs["timeout"])
        raise ConnectionRefusedError

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    connection = await clouds.get(credential())
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(connection.session.get, "http://127.0.0.1:1/", authenticated=False)
    assert waited == [(10.0, 60.0)]
