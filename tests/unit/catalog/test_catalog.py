"""Which name means what, and to whom."""

import pytest

from shared.catalog.catalog import Catalog
from shared.errors import (
    AdminRequired,
    AmbiguousModel,
    MissingParameter,
    ModelNotAllowed,
    ModelNotFound,
)
from tests.unit.catalog.worlds import caller, group, model

CATALOG = Catalog(
    [
        model("plain", code="gpt-4o"),
        model("twin", code="gpt-4o"),
        model("single", code="o3", default_for=["ChatCompletion"]),
        model("off", code="o1", enabled=False, default_for=["ChatCompletion"]),
        model("secret", code="o9", private=True, projects=["research"]),
        model("open/with slash", code="c#1"),
        model("named-as-code", code="x"),
        model("other", code="named-as-code"),
        group("both", {"id": "plain", "weight": 2}, "secret", "off", "absent"),
        group("hidden", "secret"),
        group("sleeping", "plain", enabled=False),
    ]
)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("plain", "plain"),
        ("open/with slash", "open/with slash"),
        ("o3", "single"),
        ("c#1", "open/with slash"),
        ("named-as-code", "named-as-code"),
        ("both", "both"),
    ],
)
def test_an_id_goes_before_a_code_that_one_model_has(name: str, id: str) -> None:
    assert CATALOG.resolve(name, caller()).id == id


@pytest.mark.parametrize("name", ["absent", "", "PLAIN", "off", "o1", "secret", "o9", "hidden", "sleeping"])
def test_what_is_not_there_disabled_or_private_to_others_is_not_found(name: str) -> None:
    for anyone in (caller(), caller("default", admin=True), caller("default", "secret", "off", "hidden")):
        with pytest.raises(ModelNotFound) as caught:
            CATALOG.resolve(name, anyone)
        assert caught.value.status == 404
        assert caught.value.param == "model"
        assert CATALOG.usable(name, anyone) is None


def test_a_private_model_serves_its_projects() -> None:
    assert CATALOG.resolve("secret", caller("research")).id == "secret"
    assert CATALOG.resolve("o9", caller("research")).id == "secret"
    assert CATALOG.resolve("hidden", caller("research")).id == "hidden"


def test_a_code_of_several_models_is_ambiguous_and_names_the_ids() -> None:
    with pytest.raises(AmbiguousModel, match="'plain', 'twin'") as caught:
        CATALOG.resolve("gpt-4o", caller())
    assert caught.value.status == 400


def test_a_code_counts_only_models_that_the_key_may_use() -> None:
    assert CATALOG.resolve("gpt-4o", caller("default", "twin")).id == "twin"
    with pytest.raises(ModelNotFound):
        CATALOG.resolve("gpt-4o", caller("default", "single"))


def test_a_key_that_does_not_list_a_model_is_refused_it() -> None:
    for name in ("plain", "both"):
        with pytest.raises(ModelNotAllowed) as caught:
            CATALOG.resolve(name, caller("default", "twin"))
        assert caught.value.status == 403
        assert CATALOG.usable(name, caller("default", "twin")) is None
        found = CATALOG.usable(name, caller("default", "twin"), via_group=True)
        assert found is not None
        assert found.id == name


def test_a_key_that_lists_no_model_may_use_none() -> None:
    nobody = caller("default", "nothing-there")
    assert CATALOG.visible(nobody) == []
    with pytest.raises(MissingParameter):
        CATALOG.default_model("ChatCompletion", nobody)


def test_members_that_cannot_be_used_are_skipped() -> None:
    both = CATALOG.groups["both"]
    assert [(member.id, weight) for member, weight in CATALOG.members(both, caller())] == [("plain", 2.0)]
    research = CATALOG.members(both, caller("research"))
    assert [member.id for member, _ in research] == ["plain", "secret"]


def test_a_key_that_lists_a_group_may_use_its_members_through_it_but_private_holds() -> None:
    both = CATALOG.groups["both"]
    through = caller("default", "both")
    assert CATALOG.resolve("both", through) is both
    assert [member.id for member, _ in CATALOG.members(both, through)] == ["plain"]
    with pytest.raises(ModelNotAllowed):
        CATALOG.resolve("plain", through)
    assert CATALOG.members(both, caller("default", "twin")) == []


def test_a_request_without_a_model_gets_the_one_that_is_set_for_its_operation() -> None:
    assert CATALOG.default_model("ChatCompletion", caller()).id == "single"
    with pytest.raises(MissingParameter, match="model"):
        CATALOG.default_model("images", caller())


def test_a_listing_holds_what_the_caller_may_use() -> None:
    open_to_all = ["both", "named-as-code", "open/with slash", "other", "plain", "single", "twin"]
    assert [found.id for found in CATALOG.visible(caller())] == open_to_all
    assert [found.id for found in CATALOG.visible(caller("default", "plain", "secret"))] == ["plain"]
    assert [found.id for found in CATALOG.visible(caller("research"))] == sorted(
        [*open_to_all, "hidden", "secret"]
    )


def test_admins_may_look_at_other_projects_and_at_private_models() -> None:
    admin = caller(admin=True)
    assert CATALOG.visible(admin, project_id="research") == CATALOG.visible(caller("research"))
    assert {found.id for found in CATALOG.visible(admin, include_private=True)} >= {"secret", "hidden"}
    for filters in ({"include_private": True}, {"project_id": "research"}):
        with pytest.raises(AdminRequired):
            CATALOG.visible(caller(), **filters)


def test_models_and_groups_show_disabled_ones_too() -> None:
    assert "off" in CATALOG.models
    assert "sleeping" in CATALOG.groups
