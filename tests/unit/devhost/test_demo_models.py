"""The models of a first start are documents like any other."""

from shared.access.caller import ANONYMOUS
from shared.catalog.catalog import Catalog
from shared.catalog.costs import cost_usd
from shared.catalog.documents import Group, Model, parse_document
from shared.devhost.demo_models import demo_models
from shared.wire.usage import Usage


def catalog() -> Catalog:
    documents = []
    for body in demo_models():
        document, warnings = parse_document(body, strict=True)
        assert warnings == []
        documents.append(document)
    return Catalog(documents)


def test_each_demo_model_serves_and_costs_something() -> None:
    models = catalog().models
    assert {"demo-chat", "demo-chat-mini", "demo-embedding", "demo-moderation"} <= set(models)
    used = Usage(prompt=1000, completion=1000, images=1, seconds=60, characters=1000)
    for model in models.values():
        cost = cost_usd(model.costs, used)
        assert cost is not None
        assert cost > 0
        assert model.operations


def test_the_group_leads_to_both() -> None:
    group = catalog().resolve("demo", ANONYMOUS)
    assert isinstance(group, Group)
    assert [model.id for model, _ in catalog().members(group, ANONYMOUS)] == ["demo-chat", "demo-chat-mini"]


def test_every_fallback_is_there() -> None:
    models = catalog().models
    mini = models["demo-chat-mini"]
    assert isinstance(mini, Model)
    assert mini.context_window_fallbacks == ("demo-chat",)
    assert all(name in models for name in mini.context_window_fallbacks)
