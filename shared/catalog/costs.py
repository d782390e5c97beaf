"""What a model costs: three notations read into one, and the price of a call."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shared import Json
from shared.catalog.invalid import InvalidDocument
from shared.wire.usage import Usage

PAIRS = (
    ("input", "output", 1_000),
    ("cost_input_1Mtokens", "cost_output_1Mtokens", 1_000_000),
    ("input_cost_per_token", "output_cost_per_token", 1),
)
"""(name for input, name for output, tokens that the price is for)."""

NAMES = frozenset(
    (
        "cached_input",
        "per_image",
        "per_minute",
        "per_1M_characters",
        *(name for pair in PAIRS for name in pair[:2]),
    )
)


@dataclass(frozen=True, slots=True)
class Costs:
    """Prices in USD. `input`, `output` and `cached_input` are per token; the first two come together.

    `per_image` is per image, `per_minute` per minute of audio, `per_million_characters` as it says.
    """

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    per_image: float | None = None
    per_minute: float | None = None
    per_million_characters: float | None = None

    def shown(self) -> Json:
        """Prices in one notation, per million tokens, whatever the document used; absent ones left out."""
        prices = {
            "cost_input_1Mtokens": _per_million(self.input),
            "cost_output_1Mtokens": _per_million(self.output),
            "cached_input": _per_million(self.cached_input),
            "per_image": self.per_image,
            "per_minute": self.per_minute,
            "per_1M_characters": self.per_million_characters,
        }
        return {name: price for name, price in prices.items() if price is not None}


def read_costs(written: Mapping[str, object]) -> Costs | None:
    """`costs` of a document; None where it holds no price. Raises `InvalidDocument`."""
    prices = {name: _price(name, value) for name, value in written.items() if name in NAMES}
    used = [pair for pair in PAIRS if pair[0] in prices or pair[1] in prices]
    if len(used) > 1:
        raise InvalidDocument(f"costs.{used[1][0]}", "mixes two notations of the price of tokens; use one")
    token_prices: dict[str, float] = {}
    if used:
        input_name, output_name, tokens = used[0]
        for name in (input_name, output_name):
            if name not in prices:
                raise InvalidDocument(
                    f"costs.{name}", "is required: give both prices of the pair, or neither"
                )
        token_prices = {"input": prices[input_name] / tokens, "output": prices[output_name] / tokens}
        if "cached_input" in prices:
            token_prices["cached_input"] = prices["cached_input"] / tokens
    elif "cached_input" in prices:
        raise InvalidDocument("costs.cached_input", "needs the prices of input and output, whose unit it has")
    if not prices:
        return None
    return Costs(
        **token_prices,
        per_image=prices.get("per_image"),
        per_minute=prices.get("per_minute"),
        per_million_characters=prices.get("per_1M_characters"),
    )


def cost_usd(costs: Costs | None, usage: Usage) -> float | None:
    """Price of a call in USD: what it used of each thing that the model has a price for.

    None, never 0, where the model has no price for anything that was used.
    """
    if costs is None:
        return None
    prices: list[float] = []
    if costs.input is not None and costs.output is not None:
        prices.append(_tokens_usd(usage, costs.input, costs.output, costs.cached_input))
    if costs.per_image is not None and usage.images:
        prices.append(usage.images * costs.per_image)
    if costs.per_minute is not None and usage.seconds:
        prices.append(usage.seconds / 60 * costs.per_minute)
    if costs.per_million_characters is not None and usage.characters:
        prices.append(usage.characters / 1_000_000 * costs.per_million_characters)
    if not prices:
        return None
    # Twelve places are a millionth of a micro-dollar: enough, and without the noise of binary fractions.
    return round(sum(prices), 12)


def _tokens_usd(usage: Usage, input: float, output: float, cached_input: float | None) -> float:
    cached = min(usage.cached, usage.prompt) if cached_input is not None else 0
    total = (usage.prompt - cached) * input + usage.completion * output
    return total + cached * (cached_input or 0.0)


def _price(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidDocument(f"costs.{name}", "must be a number of USD")
    try:
        price = float(value)
    except OverflowError:
        price = math.inf
    if not 0 <= price < math.inf:
        raise InvalidDocument(f"costs.{name}", "must be 0 or more")
    return price


def _per_million(price: float | None) -> float | None:
    return None if price is None else float(f"{price * 1_000_000:.12g}")
