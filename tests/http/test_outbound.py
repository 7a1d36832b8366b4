"""Requests to receivers that clients have chosen: where they go, and how much a receiver can take from the sender."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from httpcore2._backends.anyio import AnyIOStream

from ccs_server.domain.receivers import Networks, read_networks, read_url
from ccs_server.http import outbound
from ccs_server.http.name_lookup import look_up
from ccs_server.http.outbound import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES, Outcome, Sender
from tests.support.receivers import OK, receiving

LOOPBACK = read_networks("127.0.0.0/8")


def post(*urls: str, allowed: Networks = LOOPBACK, seconds: float = 5.0) -> list[Outcome]:
    """Sends to each, one after the other."""

    async def send() -> list[Outcome]:
        async with Sender(allowed, limit=10, seconds=seconds) as sender:
            receivers = [read_url(url) for url in urls]
            return [await sender.post(each, {"Host": each.authority}, b"{}") for each in receivers]

    return asyncio.run(send())


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Lets look-ups have these answers, one after the other; returns the hosts that are looked up."""
    rest, asked = list(answers), list[str]()

    def answer(host: str, _port: int) -> "Future[list[str]]":
        asked.append(host)
        future: Future[list[str]] = Future()
        future.set_result(rest.pop(0))
        return future

    monkeypatch.setattr(outbound, "look_up", answer)
    return asked


def test_a_request_arrives_as_it_was_sent() -> None:
    with receiving() as receiver:
        assert post(receiver.url) == [Outcome(204, None)]
    (delivery,) = receiver.received
    assert (delivery.path, delivery.body) == ("/hook?x=1", b"{}")
    assert delivery.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_what_is_not_public_is_not_connected_to(scheme: str, host: str) -> None:
    with receiving() as receiver:
        (outcome,) = post(f"{scheme}://{host}:{receiver.port}/", allowed=())
    assert outcome.reason == "The address of the host is not public, and is not allowed."
    assert receiver.received == []


def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name would lead elsewhere if it were looked up once more."""
    asked = answering(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    with receiving() as receiver:
        assert post(f"http://bot.example:{receiver.port}/") == [Outcome(204, None)]
    assert asked == ["bot.example"]
    assert receiver.received[0].headers["host"] == f"bot.example:{receiver.port}"


def test_a_name_that_leads_elsewhere_later_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    monkeypatch.setattr(outbound, "_KEEP_SECONDS", 0.0)
    with receiving() as receiver:
        url = f"http://bot.example:{receiver.port}/"
        first, second = post(url, url)
    assert (first.status, second.status) == (204, None)
    assert len(receiver.received) == 1


def test_one_bad_address_among_several_refuses_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, ["127.0.0.1", "10.0.0.1"])
    with receiving() as receiver:
        (outcome,) = post(f"http://bot.example:{receiver.port}/")
    assert outcome.status is None
    assert receiver.received == []


def test_the_next_address_is_tried_if_one_cannot_be_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    with receiving() as receiver:
        assert post(f"http://bot.example:{receiver.port}/") == [Outcome(204, None)]


def test_a_redirect_is_a_failure_and_is_not_followed() -> None:
    with receiving() as other, receiving() as receiver:
        location = f"HTTP/1.1 307 x\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        receiver.respond = lambda _: location
        (outcome,) = post(receiver.url)
    assert outcome.reason == "The receiver responded 307."
    assert other.received == []


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status: int) -> None:
    with receiving() as receiver:
        receiver.respond = lambda _: f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode()
        assert post(receiver.url) == [Outcome(status, None)]


def test_410_means_that_the_receiver_is_gone() -> None:
    with receiving() as receiver:
        receiver.respond = lambda _: b"HTTP/1.1 410 Gone\r\nContent-Length: 6\r\n\r\nsecret"
        (outcome,) = post(receiver.url)
    assert outcome.is_gone
    assert outcome.reason == "The receiver responded 410."


def waits_for(header: str) -> float:
    """How long a receiver asks to wait with this header."""
    head = f"HTTP/1.1 503 x\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    with receiving() as receiver:
        receiver.respond = lambda _: head
        (outcome,) = post(receiver.url)
    return outcome.retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("soon", 0), ("-1", 0), ("²", 0)],
)
def test_a_receiver_may_ask_to_wait_for_seconds(header: str, seconds: float) -> None:
    assert waits_for(header) == seconds


def test_a_receiver_may_ask_to_wait_until_a_time() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=600)
    assert 500 <= waits_for(format_datetime(moment, usegmt=True)) <= 600


@contextmanager
def endless(head: bytes, part: bytes) -> Iterator[str]:
    """The URL of a receiver that responds with a head, and then sends a part again and again until it is cut off."""

    def respond(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(head)
            while True:
                connection.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=respond, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were read from connections, each time."""
    counts: list[int] = []
    read = AnyIOStream.read

    async def counted(stream: AnyIOStream, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await read(stream, max_bytes, timeout)
        counts.append(len(data))
        return data

    monkeypatch.setattr(AnyIOStream, "read", counted)
    return counts


LENGTH = b"Content-Length: 100000000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize(
    ("fields", "part"),
    [(LENGTH, b"x" * 100_000), (b"\r\n", b"x" * 100_000), (CHUNKED, b"1\r\nx\r\n" * 10_000)],
    ids=["length", "until it is closed", "chunks"],
)
def test_an_endless_response_is_cut_off_and_judged_by_its_status(
    read: list[int], status: int, fields: bytes, part: bytes
) -> None:
    head = b"HTTP/1.1 %d x\r\nRetry-After: 7\r\n" % status + fields
    with endless(head, part) as url:
        began = monotonic()
        (outcome,) = post(url)
        assert monotonic() - began < 4
    assert outcome.status == status
    assert (outcome.reason is None) is (status == 200)
    assert len(head) < sum(read) <= len(head) + MAX_RESPONSE_BYTES


def test_no_more_than_4_kib_of_a_body_are_read_after_a_long_head(read: list[int]) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Policy: %b\r\n" % (b"p" * 10_000) + LENGTH
    with endless(head, b"x" * 100_000) as url:
        assert post(url) == [Outcome(200, None)]
    assert len(head) < sum(read) <= len(head) + MAX_RESPONSE_BYTES


@pytest.mark.parametrize(
    ("head", "part"),
    [(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["head", "informational responses"],
)
def test_an_endless_head_is_cut_off_and_has_failed(
    read: list[int], head: bytes, part: bytes
) -> None:
    with endless(head, part * 100) as url:
        (outcome,) = post(url)
    assert outcome == Outcome(None, "The head of the receiver's response is too long.")
    assert sum(read) < MAX_HEAD_BYTES + MAX_RESPONSE_BYTES


def test_a_connection_is_used_again_after_a_response_that_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answering(monkeypatch, ["127.0.0.1"])
    body = b"x" * 3000 + OK  # whose end tells the receiver to keep the connection
    with receiving() as receiver:
        receiver.respond = lambda _: (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        url = f"http://bot.example:{receiver.port}/"
        assert post(url, url, url) == [Outcome(200, None)] * 3
    assert asked == ["bot.example"]


def _silent(receiver_closing: Callable[[float], bool]) -> Callable[[object], bytes]:
    def respond(_: object) -> bytes:
        receiver_closing(10.0)
        return OK

    return respond


def test_a_receiver_that_does_not_respond_in_time_has_failed() -> None:
    with receiving() as receiver:
        receiver.respond = _silent(receiver.is_closing.wait)
        (outcome,) = post(receiver.url, seconds=0.2)
    assert outcome.reason == "The receiver did not respond within 0.2 seconds."


def test_a_receiver_that_drips_its_head_has_failed_in_the_same_time() -> None:
    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X-A: b\r\n")
                sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=drip, args=(listener,))
        thread.start()
        began = monotonic()
        (outcome,) = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.2)
        assert monotonic() - began < 2
        thread.join()
    assert outcome.status is None


def test_failures_are_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with receiving() as receiver:
        receiver.respond = lambda _: b"SMTP\r\n\r\n"
        refused, garbage, not_tls, nowhere = post(
            f"http://127.0.0.1:{port}/",
            receiver.url,
            receiver.url.replace("http", "https"),
            "https://nowhere.invalid/",
        )
    assert refused.reason == "The receiver cannot be connected to."
    assert garbage.reason == "The receiver closed the connection, or did not respond in HTTP."
    assert not_tls.reason == "The receiver cannot be connected to."
    assert nowhere.reason == "The host has no address."


def certified(directory: Path, *names: x509.GeneralName) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of the names, and the file with that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now, day, number = datetime.now(UTC), timedelta(1), x509.random_serial_number()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), number, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )  # fmt: skip
    file = directory / "certificate.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    with_key = directory / "both.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with_key.write_bytes(pem + file.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(with_key)
    return context, file


def test_tls_knows_the_host_by_its_name_and_not_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = x509.IPAddress(ip_address("127.0.0.1"))
    context, file = certified(tmp_path, x509.DNSName("bot.example"), address)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    answering(monkeypatch, *[["127.0.0.1"]] * 3)
    with receiving(context) as receiver:
        urls = [f"https://{host}:{receiver.port}/" for host in ("bot.example", "other.example")]
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        (unknown,) = post(urls[0])
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        known, other = post(*urls)
    assert (unknown.status, known.status, other.status) == (None, 204, None)
    assert str(unknown.reason).startswith("The receiver's certificate is not valid: ")
    assert "other.example" in str(other.reason)
    assert asked == ["bot.example", "bot.example", "other.example"]
    assert len(receiver.received) == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiving() as receiver:
        assert post(receiver.url) == [Outcome(204, None)]


def test_a_host_is_looked_up_and_none_is_an_error() -> None:
    assert look_up("127.0.0.1", 80).result(10) == ["127.0.0.1"]
    for host in ("nowhere.invalid", "x" * 64 + ".example", ".."):
        with pytest.raises(OSError, match=r"."):
            look_up(host, 80).result(10)
