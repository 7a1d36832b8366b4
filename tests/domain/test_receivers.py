"""The URLs and addresses that webhooks may be sent to."""

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.receivers import (
    Receiver,
    RefusedAddress,
    check_addresses,
    is_public,
    read_networks,
    read_url,
)

NOT_PUBLIC = {
    "this host": ["0.0.0.0", "0.1.2.3", "::"],  # noqa: S104 - nothing is bound to it
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1"],
    "CGNAT": ["100.64.0.1", "100.127.255.255"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"],
    "site-local": ["fec0::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "protocols": ["192.0.0.1", "192.0.0.9", "192.0.0.170", "2001:1::1", "2001:20::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "metadata": [
        "169.254.169.254",  # AWS, Google, Azure, DigitalOcean
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure's platform
    ],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8"],
    "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
    "IPv4-translated": ["::ffff:0:127.0.0.1"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1"],
    "6to4": ["2002:7f00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1", "192.88.99.1"],
    "Teredo": ["2001::1", "2001:0:a9fe:a9fe::1"],
    "discard": ["100::1"],
    "SRv6": ["5f00::1"],
    "not allocated": ["4000::1", "8000::1", "e000::1"],
}


@pytest.mark.parametrize(
    "address", [pytest.param(each, id=f"{kind} {each}") for kind, those in NOT_PUBLIC.items() for each in those]
)  # fmt: skip
def test_what_is_not_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(RefusedAddress, match=re.escape(address)):
        check_addresses("https", [address], ())


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"],
)  # fmt: skip
def test_what_is_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))
    check_addresses("https", [address], ())


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_address_is_never_reached(address: object) -> None:
    for prefix in ("::ffff:", "::", "64:ff9b::", "64:ff9b:1::"):
        assert not is_public(ip_address(f"{prefix}{address}"))


def test_one_address_that_is_not_public_refuses_them_all() -> None:
    with pytest.raises(RefusedAddress):
        check_addresses("https", ["1.1.1.1", "10.0.0.1"], ())


def test_allowed_networks_may_be_reached_without_tls_and_others_not() -> None:
    allowed = read_networks("10.0.0.0/8, ::1")
    for scheme in ("https", "http"):
        check_addresses(scheme, ["10.1.2.3", "::1"], allowed)
        with pytest.raises(RefusedAddress):
            check_addresses(scheme, ["11.0.0.1", "127.0.0.1"], allowed)
        with pytest.raises(RefusedAddress):
            check_addresses(scheme, ["::ffff:10.1.2.3"], allowed)
    with pytest.raises(RefusedAddress):
        check_addresses("http", ["1.1.1.1"], allowed)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "*"])
def test_an_allowed_network_is_written_exactly(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text.partition("/")[0])):
        read_networks(text)


@pytest.mark.parametrize(
    ("url", "receiver", "authority"),
    [
        ("https://bot.example", ("https", "bot.example", 443, "/"), "bot.example"),
        ("https://Bot.Example:443/a?b=c", ("https", "bot.example", 443, "/a?b=c"), "bot.example"),
        ("http://bot.example:8080/%20", ("http", "bot.example", 8080, "/%20"), "bot.example:8080"),
        ("https://[2606:4700::1]:1/", ("https", "2606:4700::1", 1, "/"), "[2606:4700::1]:1"),
        ("https://1.1.1.1/", ("https", "1.1.1.1", 443, "/"), "1.1.1.1"),
    ],
)
def test_a_url_names_a_receiver(
    url: str, receiver: tuple[str, str, int, str], authority: str
) -> None:
    assert read_url(url) == Receiver(*receiver)
    assert read_url(url).authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "", "bot.example", "//bot.example/", "ftp://bot.example/", "file:///etc/passwd", "https://", "https:///x",
        "https://user@bot.example/", "https://user:pass@bot.example/", "https://bot.example/#part", "https://bot.example#",
        "https://bot.example:0/", "https://bot.example:65536/", "https://bot.example:x/", "https://[::1/", "https://bücher.example/",
        "https://bot.example/ x", "https://bot.example/\r\nX: y", "https://bot.example\\@10.0.0.1/", "https://%31.1.1.1/",
        "https://bot.example/" + "x" * 2048, "https://[fe80::1%25eth0]/", "https://a_*b/",
    ],
)  # fmt: skip
def test_a_url_that_names_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_url(url)
    assert refused.value.field == "url"


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://bot.example{text}"):
        try:
            receiver = read_url(url)
        except InvalidInput:
            continue
        assert re.fullmatch(r"/[!-~]*", receiver.target)
        assert re.fullmatch(r"[a-z0-9._:-]+", receiver.host)
