"""Where each environment lives."""

import pytest

from avigrid.exchange.bybit.environments import DEMO, MAINNET, Endpoints, endpoints_for


def test_demo_takes_public_data_from_mainnet() -> None:
    assert DEMO.public_ws_url == MAINNET.public_ws_url
    assert DEMO.rest_url != MAINNET.rest_url


def test_a_simulated_exchange_serves_everything_on_one_port() -> None:
    assert endpoints_for("simulated", simulated_url="http://127.0.0.1:8700/") == Endpoints(
        name="simulated",
        rest_url="http://127.0.0.1:8700",
        public_ws_url="ws://127.0.0.1:8700/v5/public/linear",
        private_ws_url="ws://127.0.0.1:8700/v5/private",
    )
    assert Endpoints.simulated("https://sim.example").private_ws_url == "wss://sim.example/v5/private"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8700", "ws://127.0.0.1:1"])
def test_a_base_url_must_be_one(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        Endpoints.simulated(url)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'prod'"):
        endpoints_for("prod")
