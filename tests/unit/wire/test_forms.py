"""Fields of forms: text that means numbers, lists and flags."""

import pytest

from shared.errors import InvalidValue
from shared.providers.calls import Form
from shared.wire.forms import form_fields, typed_steering


def test_steering_is_read_out_of_text() -> None:
    fields = {"timeout": "2.5", "max_retries": "1", "fallbacks": ["a", "b"], "context_window_fallbacks": "c"}
    assert typed_steering(fields) == {
        "timeout": 2.5,
        "max_retries": 1,
        "fallbacks": ["a", "b"],
        "context_window_fallbacks": ["c"],
    }


@pytest.mark.parametrize(
    ("name", "value"), [("timeout", "soon"), ("max_retries", "1.5"), ("timeout", ["1", "2"])]
)
def test_steering_that_is_no_number_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        typed_steering({name: value})
    assert caught.value.param == name


def test_values_are_spelt_as_clients_spell_them() -> None:
    values = {"language": "de", "temperature": 0.5, "stream": True, "include": ["logprobs"], "prompt": None}
    assert list(form_fields(values)) == [
        ("language", "de"),
        ("temperature", "0.5"),
        ("stream", "true"),
        ("include[]", "logprobs"),
    ]


def test_defaults_fill_what_a_form_lacks() -> None:
    form = Form((("language", "fr"), ("include[]", "logprobs")), ())
    made = form.with_defaults({"language": "de", "include": ["other"], "prompt": "Hm."})
    assert made.fields == (*form.fields, ("prompt", "Hm."))
