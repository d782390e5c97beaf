"""The stated rule for tokens that a provider did not count."""

from shared.wire.estimate import PART_TOKENS, estimate_prompt, estimate_tokens


def test_four_characters_are_a_token_rounded_up() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


def test_a_prompt_counts_its_text_and_its_parts() -> None:
    messages = [
        {"role": "system", "content": "12345678"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "1234"},
                {"type": "image_url", "image_url": {"url": "data:" + "x" * 9999}},
            ],
        },
    ]
    assert estimate_prompt({"messages": messages}) == 3 + PART_TOKENS


def test_a_prompt_of_tokens_counts_them() -> None:
    assert estimate_prompt({"prompt": [11, 22, 33]}) == 3
    assert estimate_prompt({"prompt": ["abcd", "efgh"]}) == 2
