"""Which address a request really comes from, when proxies of our own stand in front."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network


def normalised(text: str) -> str | None:
    """One spelling an address, IPv4 inside IPv6 unwrapped; None where it is none."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def client_address(*, peer: str, forwarded_for: str, trusted_proxies: Sequence[str]) -> str | None:
    """The nearest address that is not a proxy of ours.

    `forwarded_for` is believed only as far as trusted proxies wrote it: read from the right, stop at the first
    address that is not trusted. Anything a client writes further left is ignored.
    """
    networks = [ip_network(text, strict=False) for text in trusted_proxies]

    def is_trusted(address: str) -> bool:
        return any(ip_address(address) in network for network in networks)

    address = normalised(peer)
    hops = [hop for hop in forwarded_for.split(",") if hop.strip()]
    while address is not None and hops and is_trusted(address):
        nearer = normalised(hops.pop())
        if nearer is None:
            break
        address = nearer
    return address


def forwards_unnamed(*, peer: str, forwarded_for: str, trusted_proxies: Sequence[str]) -> str | None:
    """The peer, where it forwards for somebody, is none of our proxies and stands near: perhaps one that was forgotten.

    Strangers may write that header as they like; only private and local addresses count.
    """
    address = normalised(peer)
    if address is None or not forwarded_for.strip() or not ip_address(address).is_private:
        return None
    networks = [ip_network(text, strict=False) for text in trusted_proxies]
    return None if any(ip_address(address) in network for network in networks) else address
