"""The clouds.yaml is not trusted."""

import datetime

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kiln.clouds import credentials
from kiln.clouds.credentials import CredentialsError, parse

AUTH = {
    "auth_url": "https://keystone.example/v3",
    "username": "demo",
    "password": "s3cret",
    "project_name": "demo",
    "user_domain_name": "Default",
    "project_domain_name": "Default",
}


def text_of(auth=AUTH, **cloud):
    return yaml.safe_dump({"clouds": {"demo": {"auth": auth, **cloud}}})


def refusal(text, name="demo", cacert="") -> CredentialsError:
    with pytest.raises(CredentialsError) as caught:
        parse(text, name, cacert)
    assert "s3cret" not in str(caught.value)
    return caught.value


def certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=9999))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_password_is_the_default():
    found = parse(text_of(region_name="RegionOne", interface="internal", identity_api_version=3), "demo")
    assert (found.auth_type, found.auth, found.region_name, found.verify) == ("password", AUTH, "RegionOne", True)
    assert found.options == {"interface": "internal", "identity_api_version": "3"}


def test_an_application_credential_as_horizon_writes_it():
    auth = {
        "auth_url": "https://keystone.example",
        "application_credential_id": "1",
        "application_credential_secret": "s3cret",
    }
    found = parse(text_of(auth, auth_type="v3applicationcredential", interface="public"), "demo")
    assert found.hidden == ("s3cret",)


def test_nothing_secret_is_in_the_repr():
    assert "s3cret" not in repr(parse(text_of(), "demo"))


def test_equal_credentials_have_equal_digests_and_others_do_not():
    assert parse(text_of(), "demo").digest == parse(text_of() + "# comment\n", "demo").digest
    assert parse(text_of(), "demo").digest != parse(text_of(AUTH | {"password": "other"}), "demo").digest
    assert parse(text_of(), "demo").digest != parse(text_of(verify=False), "demo").digest


@pytest.mark.parametrize(
    "auth_type",
    ["v3oidcpassword", "v3kerberos", "v3websso", "none", "admin_token", "v3oauth2mtlsclientcredential", "v3totp"],
)
def test_other_ways_to_authenticate_are_refused_with_those_that_work(auth_type):
    error = refusal(text_of(auth_type=auth_type))
    assert error.reason == "InvalidCredentials"
    assert "clouds.demo.auth_type" in error.path
    assert "v3applicationcredential" in error.message


@pytest.mark.parametrize("option", ["cacert", "cert", "key", "profile", "cloud", "regions"])
def test_settings_that_name_files_or_profiles_are_refused(option):
    assert option in refusal(text_of(**{option: "/etc/passwd"})).path


@pytest.mark.parametrize("option", ["log_file", "vault", "7", "password:Hunter2"])
def test_unknown_settings_are_refused_with_their_place_and_not_quoted(option):
    error = refusal(text_of().replace("auth:", f"{option}: x\n    auth:"))
    assert "(line 3, column 5)" in error.message
    assert option not in str(error)


def test_a_path_of_certificates_is_refused_with_what_to_do():
    assert "the Secret's key cacert" in refusal(text_of(cacert="/etc/ssl/ca.pem")).message


@pytest.mark.parametrize("option", ["protocol", "identity_provider", "code_file", "client_id", "cert"])
def test_options_of_other_plugins_are_refused(option):
    error = refusal(text_of(AUTH | {option: "x"}))
    assert error.path.endswith("clouds.demo.auth)")
    assert "(line " in error.message
    assert option not in str(error)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/", "keystone:5000", "https://", "http://[::1", "https://x:y/"]
)
def test_only_http_urls_are_taken(url):
    assert "http" in refusal(text_of(AUTH | {"auth_url": url})).message
    assert "http" in refusal(text_of(compute_endpoint_override=url)).message


def test_a_password_in_the_url_is_refused():
    refusal(text_of(AUTH | {"auth_url": "https://demo:s3cret@keystone.example/"}))


@pytest.mark.parametrize("missing", ["auth_url", "username", "password"])
def test_what_is_missing_is_named(missing):
    auth = {name: value for name, value in AUTH.items() if name != missing}
    assert missing in refusal(text_of(auth)).message


@pytest.mark.parametrize("value", [{"a": 1}, ["s3cret"]])
def test_values_must_be_plain(value):
    refusal(text_of(AUTH | {"password": value}))
    refusal(text_of(region_name=value))


def test_verification_can_only_be_switched_off_by_false():
    assert parse(text_of(verify=False), "demo").verify is False
    refusal(text_of(verify="/etc/passwd"))


def test_an_unknown_cloud_is_refused_with_the_number_of_those_that_there_are():
    error = refusal(text_of(), "prod")
    assert error.path == "spec.cloudCredentialsRef.cloudName"
    assert "which has 1" in error.message


SECRET = "Hunter2Secret"
PLACES = {
    "an alias": "      password: *{}\n",
    "a tag": "      password: !{} x\n",
    "a tag with a handle": "      password: !{}!x y\n",
    "a tag of Python": "      password: !!python/name:{} x\n",
    "a tag of YAML": "      password: !!{} x\n",
    "no blank after the colon": "      password:{}\n",
    "a key without a value": "      ? password:{}\n",
    "a key of another mapping": "    password:{}: x\n",
    "a list": "      password: [{}]\n",
    "an anchor twice": "      password: &{0} x\n      username: &{0} y\n",
    "a directive": "%{} x\n---\n",
    "a merge": "      <<: {}\n",
    "a quote that does not end": '      password: "{}\n',
    "an escape": '      password: "\\q{}"\n',
    "a tab": "      password:\t{}: x\n",
    "binary": "      password: !!binary {}=\n",
    "half of a pair": '      password: "{}\\ud800"\n',
    "a control character": '      password: "{}\\x1b[31m"\n',
    "another document": "--- {}\n",
    "a URL's user": "      auth_url: https://u:{}@k/v3\n",
    "no URL": "      auth_url: ftp://{}/v3\n",
    "an odd port": "      auth_url: https://k:{}/v3\n",
    "a type": "    auth_type: {}\n",
    "verify": "    verify: {}\n",
    "a version": "    identity_api_version: {}\n",
    "an interface": "    interface: {}\n",
    "a service's URL": "    compute_endpoint_override: {}\n",
    "the cloud's name": "  {}: {{}}\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_no_error_quotes_what_is_in_the_file(place):
    base = "clouds:\n  kept:\n    auth:\n      auth_url: https://k/v3\n      username: u\n      project_name: p\n"
    with pytest.raises(CredentialsError) as caught:
        credentials.parse(base + PLACES[place].format(SECRET), "kept")
    assert caught.value.reason == "InvalidCredentials"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", ["0123", "1:30:59", "0x1f", "0x" + "f" * 6000, "1e9", "2025-13-45", "yes", ".inf"])
def test_what_looks_like_a_number_stays_the_text_that_it_is(value):
    assert (
        credentials.parse(text_of(AUTH | {"password": "PLACE"}).replace("PLACE", value), "demo").auth["password"]
        == value
    )


@pytest.mark.parametrize("pem", ["é", "-----BEGIN CERTIFICATE-----\n\0\n-----END CERTIFICATE-----", "\ud800"])
def test_certificates_that_are_none_are_refused(pem):
    with pytest.raises(CredentialsError, match="no certificates"):
        credentials.parse(text_of(), "demo", pem)


@pytest.mark.parametrize("password", ["pässwörd", "🔑key", 'it\'s "quoted"', "0123", "true", "null", "a: b", "{x}"])
async def test_kept_credentials_give_the_same_again(password):
    first = credentials.parse(text_of(AUTH | {"password": password}), "demo")
    secret = {"metadata": {"name": "x"}, "data": first.as_data}
    again = await credentials.of_secret(secret, credentials.KEPT)
    assert (again.auth, again.digest) == (first.auth, first.digest)


@pytest.mark.parametrize(
    "text", ["", "[]", "clouds: 1", "clouds: {demo: 1}", "clouds:\n\tdemo", "!!python/object:os.system x"]
)
def test_what_is_no_clouds_yaml_is_refused(text):
    assert refusal(text).reason == "InvalidCredentials"


def test_an_error_of_yaml_does_not_quote_the_line():
    error = refusal("clouds:\n  demo:\n    auth: {password: s3cret, [}\n")
    assert "line 3" in error.message
    assert error.__cause__ is None


def test_yaml_cannot_explode():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "aliases" in refusal(bomb).message
    refusal("[" * 20_000)
    refusal("x" * (credentials.MAX_BYTES + 1))


def test_certificates_come_inline():
    pem = certificate()
    assert parse(text_of(), "demo", pem).cacert == pem
    assert refusal(text_of(), cacert="nonsense").path.endswith("(cacert)")


async def test_the_secret_of_the_stack_s_namespace_is_read(kube, stack):
    kube.secret("openstack", **{"clouds.yaml": text_of()})
    assert (await credentials.load(kube, stack())).cloud_name == "demo"


@pytest.mark.parametrize(("namespace", "data", "reason"), [
    ("other", {"clouds.yaml": text_of()}, "CredentialsNotFound"),
    ("ns", {"other.yaml": text_of()}, "InvalidCredentials"),
    ("ns", {"clouds.yaml": b"\xff\xfe"}, "InvalidCredentials"),
    ("ns", {"clouds.yaml": "#" * 100_000}, "InvalidCredentials"),
])  # fmt: skip
async def test_a_secret_that_does_not_serve_is_refused(kube, stack, namespace, data, reason):
    kube.secret("openstack", namespace=namespace, **data)
    with pytest.raises(CredentialsError) as caught:
        await credentials.load(kube, stack())
    assert caught.value.reason == reason


def test_the_stack_may_name_region_certificates_and_verification_beside_the_secret():
    given = parse(text_of(region_name="RegionOne"), "demo")
    assert credentials.adjusted(given) is given
    pem = certificate()
    found = credentials.adjusted(given, region="RegionTwo", ca_cert=pem, insecure=True)
    assert (found.region_name, found.cacert, found.verify) == ("RegionTwo", pem, False)
    # Equal credentials share a connection, others never do.
    digests = {
        given.digest,
        found.digest,
        credentials.adjusted(given, region="RegionTwo").digest,
        credentials.adjusted(given, ca_cert=pem).digest,
        credentials.adjusted(given, insecure=True).digest,
    }
    assert len(digests) == 5
    assert credentials.adjusted(given, region="RegionOne").digest == given.digest


@pytest.mark.parametrize("pem", ["no certificate", "x" * 70_000])
def test_certificates_of_the_stack_that_are_none_are_refused_with_their_path(pem):
    with pytest.raises(CredentialsError, match=r"spec\.cloudCredentialsRef\.caCert: "):
        credentials.adjusted(parse(text_of(), "demo"), ca_cert=pem)
