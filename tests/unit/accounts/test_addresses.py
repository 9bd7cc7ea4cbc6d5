"""Whose address counts when proxies stand in front."""

import pytest

from accounts.core.addresses import client_address, forwards_unnamed, normalised


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("203.0.113.7", "", [], "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", [], "203.0.113.7"),  # nobody is trusted: the header is a claim
        ("10.0.0.2", "198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", "1.1.1.1, 198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),  # the client invented 1.1.1.1
        ("10.0.0.2", "198.51.100.1, 10.0.0.9", ["10.0.0.0/8"], "198.51.100.1"),  # two proxies of ours
        ("10.0.0.2", "rubbish", ["10.0.0.0/8"], "10.0.0.2"),
        ("10.0.0.2", " , ", ["10.0.0.0/8"], "10.0.0.2"),
        ("::ffff:10.0.0.2", "2001:db8::1", ["10.0.0.0/8"], "2001:db8::1"),
        ("", "198.51.100.1", ["10.0.0.0/8"], None),
    ],
)
def test_client_address(peer: str, forwarded: str, trusted: list[str], expected: str | None) -> None:
    assert client_address(peer=peer, forwarded_for=forwarded, trusted_proxies=trusted) == expected


def test_one_spelling_an_address() -> None:
    assert normalised("::FFFF:192.0.2.1") == "192.0.2.1"
    assert normalised("2001:DB8:0:0::1") == "2001:db8::1"
    assert normalised("192.0.2.300") is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("10.0.0.2", "198.51.100.1", [], "10.0.0.2"),
        ("::ffff:172.18.0.5", "198.51.100.1", ["10.0.0.0/8"], "172.18.0.5"),
        ("10.0.0.2", "198.51.100.1", ["10.0.0.0/8"], None),
        ("10.0.0.2", " ", [], None),
        ("8.8.8.8", "198.51.100.1", [], None),  # a stranger may write what they like
        ("", "198.51.100.1", [], None),
    ],
)
def test_a_proxy_nobody_named(peer: str, forwarded: str, trusted: list[str], expected: str | None) -> None:
    assert forwards_unnamed(peer=peer, forwarded_for=forwarded, trusted_proxies=trusted) == expected
