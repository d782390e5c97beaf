"""Prices: three notations, one meaning."""

import pytest

from shared import Json
from shared.catalog.costs import Costs, cost_usd, read_costs
from shared.catalog.invalid import InvalidDocument
from shared.wire.usage import Usage


@pytest.mark.parametrize(
    "written",
    [
        {"input": 0.0025, "output": 0.01, "cached_input": 0.00125},
        {"cost_input_1Mtokens": 2.5, "cost_output_1Mtokens": 10, "cached_input": 1.25},
        {"input_cost_per_token": 2.5e-6, "output_cost_per_token": 1e-5, "cached_input": 1.25e-6},
    ],
)
def test_the_three_notations_mean_the_same(written: Json) -> None:
    costs = read_costs(written)
    assert costs is not None
    assert cost_usd(costs, Usage(prompt=1000, completion=100)) == 0.0035
    assert cost_usd(costs, Usage(prompt=1000, completion=100, cached=400)) == 0.003
    assert costs.shown() == {"cost_input_1Mtokens": 2.5, "cost_output_1Mtokens": 10.0, "cached_input": 1.25}
    assert read_costs(costs.shown()) == costs


def test_without_costs_the_price_is_null_never_zero() -> None:
    usage = Usage(prompt=10, completion=10)
    assert cost_usd(None, usage) is None
    assert read_costs({}) is None
    assert cost_usd(read_costs({"per_image": 0.04}), usage) is None
    assert cost_usd(Costs(input=0.0, output=0.0), usage) == 0.0


def test_cached_tokens_cost_as_much_as_others_where_no_price_is_given() -> None:
    assert cost_usd(Costs(input=2e-6, output=0.0), Usage(prompt=100, cached=50)) == 0.0002


def test_more_cached_than_prompt_tokens_never_make_a_negative_price() -> None:
    assert cost_usd(Costs(1e-6, 1e-6, cached_input=0.0), Usage(prompt=10, cached=50)) == 0.0


@pytest.mark.parametrize(
    ("written", "param"),
    [
        ({"input": 1}, "costs.output"),
        ({"cost_output_1Mtokens": 1}, "costs.cost_input_1Mtokens"),
        ({"input": -1, "output": 1}, "costs.input"),
        ({"input": "1", "output": 1}, "costs.input"),
        ({"input": True, "output": 1}, "costs.input"),
        ({"input": float("nan"), "output": 1}, "costs.input"),
        ({"input": float("inf"), "output": 1}, "costs.input"),
        ({"input": 10**400, "output": 1}, "costs.input"),
        ({"cached_input": 1}, "costs.cached_input"),
        ({"per_minute": -0.1}, "costs.per_minute"),
        (
            {"input": 1, "output": 1, "cost_input_1Mtokens": 1, "cost_output_1Mtokens": 1},
            "costs.cost_input_1Mtokens",
        ),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(written: Json, param: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_costs(written)
    assert caught.value.param == param
