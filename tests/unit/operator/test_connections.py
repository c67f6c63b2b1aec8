"""Connections to clouds: shared, bounded, and not to everywhere."""

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from keystoneauth1.exceptions import ConnectFailure
from keystoneauth1.exceptions.connection import SSLError

from kiln.clouds import address_guard, fair_executor
from kiln.clouds.address_guard import AddressDenied, AddressGuard, default_denied
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential
from kiln.kube.errors import Forbidden
from reconcilers.cloud.limits import AnswerRefused


def credential(digest="d", **options):
    auth = {"auth_url": "http://127.0.0.1:1/v3", "token": "t", "project_id": "p"}
    return Credential("demo", "token", auth, digest=digest, **options)


def make_authority():
    """A self-signed certificate for localhost, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Kiln's tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(*form).decode()


AUTHORITY, KEY = make_authority()


@contextlib.contextmanager
def tls_server(folder, hits):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    (folder / "both.pem").write_text(AUTHORITY + KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def context_of(connection):
    return connection.session.session.get_adapter("https://x")._context


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


async def test_inline_certificates_are_the_only_authorities_and_reach_no_disk(clouds, monkeypatch):
    monkeypatch.setattr("builtins.open", lambda *_args, **_options: pytest.fail("a file was opened"))
    monkeypatch.setattr("os.open", lambda *_args, **_options: pytest.fail("a file was opened"))
    connection = await clouds.get(credential(cacert=AUTHORITY))
    monkeypatch.undo()
    [known] = context_of(connection).get_ca_certs()
    assert ("commonName", "Kiln's tests") in [pair for part in known["subject"] for pair in part]


async def test_the_context_decides_how_a_certificate_is_verified(clouds):
    checked = context_of(await clouds.get(credential()))
    assert checked.check_hostname
    assert checked.verify_mode is ssl.CERT_REQUIRED
    assert context_of(await clouds.get(credential("2"))) is checked
    unchecked = context_of(await clouds.get(credential("3", verify=False)))
    assert unchecked.verify_mode is ssl.CERT_NONE


async def test_a_server_is_only_trusted_where_its_authority_is_given(tmp_path):
    hits = []
    with tls_server(tmp_path, hits) as port:
        clouds = CloudConnections(AddressGuard())
        url = f"https://localhost:{port}/"
        for options, trusted in (({"cacert": AUTHORITY}, True), ({}, False), ({"verify": False}, True)):
            connection = await clouds.get(credential(repr(options), **options))
            if trusted:
                await asyncio.to_thread(connection.session.get, url, authenticated=False)
            else:
                with pytest.raises(SSLError):
                    await asyncio.to_thread(connection.session.get, url, authenticated=False)
        clouds.close()
    assert len(hits) == 2


async def test_no_tenant_keeps_more_connections_than_its_share(clouds):
    closed = []
    clouds.closed = closed.append
    fair_executor.tenant.set("other")
    await clouds.get(credential("theirs"))
    fair_executor.tenant.set("greedy")
    for number in range(300):
        await clouds.get(credential(f"c{number}"))
    assert "theirs" not in closed
    assert closed == [f"c{number}" for number in range(300 - 32)]


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


SAME_PLACE = {
    "IPv4": "{4}",
    "mapped": "::ffff:{4}",
    "mapped, in hex": "::ffff:{6}",
    "compatible": "::{4}",
    "translated": "::ffff:0:{4}",
    "NAT64": "64:ff9b::{4}",
    "local NAT64 /96": "64:ff9b:1::{4}",
    "6to4": "2002:{6}::1",
    "ISATAP": "2001:db8::5efe:{4}",
    "ISATAP, global": "2001:db8::200:5efe:{4}",
    "Teredo server": "2001:0:{6}::1",
    "Teredo client": "2001:0:c000:201::{not6}",
    "with a zone": "::ffff:{4}%eth0",
}


@pytest.mark.parametrize("form", SAME_PLACE)
@pytest.mark.parametrize(
    "place", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "10.0.0.7", "192.168.1.10"]
)
def test_every_form_of_a_denied_ipv4_address_is_denied(place, form):
    guard = AddressGuard([*default_denied(), "10.0.0.0/8"])
    guard.deny_cluster(["192.168.1.10"])
    number = int(ipaddress.IPv4Address(place))
    hexes = {"6": f"{number >> 16:x}:{number & 0xFFFF:x}", "not6": f"{~number >> 16 & 0xFFFF:x}:{~number & 0xFFFF:x}"}
    text = SAME_PLACE[form].replace("{4}", place)
    for name, value in hexes.items():
        text = text.replace(f"{{{name}}}", value)
    with pytest.raises(AddressDenied):
        guard.check(text)


@pytest.mark.parametrize("length", [48, 56, 64])
def test_local_translation_prefixes_of_every_length_are_looked_through(length):
    octets = bytearray(ipaddress.IPv6Address("64:ff9b:1::").packed)
    for position, octet in zip([p for p in range(length // 8, 16) if p != 8], (169, 254, 169, 254), strict=False):
        octets[position] = octet
    with pytest.raises(AddressDenied):
        AddressGuard(default_denied()).check(str(ipaddress.IPv6Address(bytes(octets))))


@pytest.mark.parametrize(
    "place",
    ["fd00:ec2::23", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe", "0.0.0.0", "::", "224.0.0.1", "ff02::1"],
)
def test_metadata_services_and_addresses_of_no_host_are_denied(place):
    with pytest.raises(AddressDenied):
        AddressGuard(default_denied()).check(place)


@pytest.mark.parametrize("place", ["192.0.2.1", "10.1.2.3", "2001:db8::1", "2002:c000:201::1", "fd12::1"])
def test_other_addresses_are_allowed(place):
    AddressGuard(default_denied()).check(place)


class Cluster:
    """A Kubernetes with one node; what ``missing`` names it does not have, or does not show."""

    def __init__(self, missing=()):
        self.missing = missing

    async def list(self, res, _ns="", *, labels=""):
        if res.plural in self.missing:
            raise Forbidden(403, "Forbidden", "no")
        if res.plural == "nodes":
            addresses = [{"type": "InternalIP", "address": "192.168.1.11"}, {"type": "Hostname", "address": "node"}]
            return [{"spec": {"podCIDRs": ["10.244.0.0/24"]}, "status": {"addresses": addresses}}]
        if res.plural == "endpointslices":
            assert labels == "kubernetes.io/service-name=kubernetes"
            return [{"endpoints": [{"addresses": ["192.168.1.10"]}]}]
        return [{"spec": {"cidrs": ["10.96.0.0/16"]}}]


async def test_api_server_nodes_pods_and_services_are_denied_and_can_be_allowed():
    guard = AddressGuard(default_denied(), ["192.168.1.11/32"])
    guard.deny_cluster(await address_guard.cluster_networks(Cluster()))
    for place in ("192.168.1.10", "10.244.0.5", "10.96.0.10", "::ffff:10.244.0.5"):
        with pytest.raises(AddressDenied):
            guard.check(place)
    guard.check("192.168.1.11")
    guard.check("192.168.1.12")


async def test_what_the_operator_may_not_list_is_left_out():
    assert await address_guard.cluster_networks(Cluster({"nodes", "servicecidrs"})) == ("192.168.1.10",)


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
    [(connect, whole)] = waited
    assert connect == 10.0
    assert 59.0 < whole <= 60.0
