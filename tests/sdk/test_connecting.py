"""Certificates and proxies of a client, with real TLS."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from urllib3.exceptions import InsecureRequestWarning

from ccs_sdk import ConnectionFailedError, ContextClient
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.service import Account, Server

pytestmark = pytest.mark.usefixtures("both")


@dataclass(frozen=True)
class Certificates:
    """The files of an authority and of a certificate that it signed, for a server and a client."""

    authority: str
    certificate: str
    key: str
    both: str


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _signed("authority", authority_key, "authority", authority_key, authority=True)
    certificate = _signed("127.0.0.1", key, "authority", authority_key, authority=False)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = certificate.public_bytes(Encoding.PEM)
    return Certificates(
        authority=_file(directory / "ca.pem", authority.public_bytes(Encoding.PEM)),
        certificate=_file(directory / "certificate.pem", public),
        key=_file(directory / "key.pem", pem),
        both=_file(directory / "both.pem", pem + public),
    )


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(address, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def secure(server: Server, certificates: Certificates) -> Iterator[FaultProxy]:
    """A proxy that speaks TLS and requires a certificate of its clients."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    with FaultProxy(server.port, tls) as proxy:
        yield proxy


def _list_namespaces(proxy: FaultProxy, account: Account, **options: Any) -> object:
    url = proxy.url.replace("http:", "https:")
    with ContextClient(url, account.id, api_key=account.key, retry=None, **options) as client:
        return client.list_namespaces()


def test_a_client_presents_its_certificate_and_verifies_that_of_the_service(
    secure: FaultProxy, certificates: Certificates, account: Account
) -> None:
    pair = (certificates.certificate, certificates.key)
    for cert in (pair, certificates.both):
        assert _list_namespaces(secure, account, verify=certificates.authority, cert=cert) == []
    with catch_warnings(action="ignore", category=InsecureRequestWarning):
        assert _list_namespaces(secure, account, verify=False, cert=pair) == []


def test_an_unknown_authority_or_a_missing_certificate_ends_the_connection(
    secure: FaultProxy, certificates: Certificates, account: Account
) -> None:
    with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED"):
        _list_namespaces(secure, account, cert=certificates.both)
    with pytest.raises(ConnectionFailedError):
        _list_namespaces(secure, account, verify=certificates.authority)
    assert secure.seen == []


def test_requests_go_through_the_given_proxy(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for proxies in ({"http": proxy.url}, {"all": proxy.url}):
        proxy.faults.append(faults.respond(204))
        with ContextClient(
            "http://context.example", "acme", api_key="key", retry=None, proxies=proxies
        ) as client:
            client.delete_namespace("a b")
        assert proxy.seen[-1].path == "http://context.example/v1/account/acme/a%20b"


def test_the_environment_names_the_proxy_if_no_argument_does(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    proxy.faults.append(faults.respond(204))
    with ContextClient("http://context.example", "acme", api_key="key", retry=None) as client:
        client.delete_namespace("airline")
    assert len(proxy.seen) == 1
