"""Where each Bybit environment lives, as data."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoints:
    name: str
    rest_url: str
    public_ws_url: str
    private_ws_url: str

    @classmethod
    def simulated(cls, base_url: str) -> "Endpoints":
        """Of a simulated exchange that serves everything on one `http://host:port`."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"a base URL like http://host:port is needed, got {base_url!r}")
        socket = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
        return cls(
            name="simulated",
            rest_url=f"{parts.scheme}://{parts.netloc}",
            public_ws_url=f"{socket}/v5/public/linear",
            private_ws_url=f"{socket}/v5/private",
        )


MAINNET = Endpoints(
    name="mainnet",
    rest_url="https://api.bybit.com",
    public_ws_url="wss://stream.bybit.com/v5/public/linear",
    private_ws_url="wss://stream.bybit.com/v5/private",
)
TESTNET = Endpoints(
    name="testnet",
    rest_url="https://api-testnet.bybit.com",
    public_ws_url="wss://stream-testnet.bybit.com/v5/public/linear",
    private_ws_url="wss://stream-testnet.bybit.com/v5/private",
)
DEMO = Endpoints(
    name="demo",
    rest_url="https://api-demo.bybit.com",
    public_ws_url="wss://stream.bybit.com/v5/public/linear",
    private_ws_url="wss://stream-demo.bybit.com/v5/private",
)


def endpoints_for(name: str, *, simulated_url: str = "") -> Endpoints:
    """`name` is mainnet, testnet, demo or simulated (which needs the URL)."""
    if name == "simulated":
        return Endpoints.simulated(simulated_url)
    found = {"mainnet": MAINNET, "testnet": TESTNET, "demo": DEMO}.get(name)
    if found is None:
        raise ValueError(f"environment must be mainnet, testnet, demo or simulated, got {name!r}")
    return found
