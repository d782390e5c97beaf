import asyncio

import pytest

from shared.access.caller import Caller
from shared.access.key_format import KeyParts, new_id, new_secret
from shared.clock import SystemClock
from shared.containers import KEYS
from shared.errors import CatalogUnavailable, ExpiredApiKey, InvalidApiKey
from tests.unit.access.worlds import ADMIN, ADMIN_TEXT, LOOKUP_INTERVAL, World


def unknown_key() -> str:
    return KeyParts(new_id(), new_secret()).text


async def test_a_key_tells_who_holds_it(world: World) -> None:
    key = await world.new_key(project="search", models=["m1", "m2"], role="user")
    caller = await world.new_ring().authenticate(key["key"])
    assert caller == Caller("search", key["id"], "user", frozenset({"m1", "m2"}))


async def test_a_known_key_costs_no_read(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    reads = world.store.calls["query"]
    for _ in range(100):
        assert world.ring.fresh(key["key"]) is not None
        await world.ring.authenticate(key["key"])
    assert world.store.calls["query"] == reads


async def test_a_request_at_two_thirds_of_the_age_refreshes_without_waiting(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    reads = world.store.calls["query"]
    world.clock.advance(21)
    assert world.ring.fresh(key["key"]) is not None
    while world.store.calls["query"] == reads:
        await asyncio.sleep(0)
    await world.ring.close()
    assert world.store.calls["query"] == reads + 1


async def test_a_key_of_another_instance_works_at_once(world: World) -> None:
    other = world.new_ring()
    first = await world.new_key()
    await other.authenticate(first["key"])
    second = await world.new_key()
    assert other.fresh(second["key"]) is None
    assert (await other.authenticate(second["key"])).key_id == second["id"]


async def test_a_new_key_works_at_once_in_the_middle_of_a_flood(world: World) -> None:
    other = world.new_ring()
    await asyncio.gather(*(other.authenticate(unknown_key()) for _ in range(50)), return_exceptions=True)
    key = await world.new_key()
    results = await asyncio.gather(
        *(other.authenticate(unknown_key()) for _ in range(50)),
        other.authenticate(key["key"]),
        return_exceptions=True,
    )
    assert isinstance(results[-1], Caller)
    assert all(isinstance(result, InvalidApiKey) for result in results[:-1])


@pytest.mark.parametrize("change", ["delete", "disable", "rotate", "narrow"])
async def test_a_changed_key_is_changed_everywhere_within_30_seconds(world: World, change: str) -> None:
    other = world.new_ring()
    key = await world.new_key(models=["m1", "m2"])
    await other.authenticate(key["key"])
    if change == "delete":
        await world.keys.delete(ADMIN, key["id"])
    elif change == "disable":
        await world.keys.update(ADMIN, key["id"], {"enabled": False})
    elif change == "rotate":
        await world.keys.rotate(ADMIN, key["id"], {"grace_seconds": 0})
    else:
        await world.keys.update(ADMIN, key["id"], {"models": ["m1"]})
    world.clock.advance(30.001)
    assert other.fresh(key["key"]) is None
    if change == "narrow":
        assert (await other.authenticate(key["key"])).models == frozenset({"m1"})
    else:
        with pytest.raises(InvalidApiKey):
            await other.authenticate(key["key"])


async def test_an_older_version_that_arrives_late_changes_nothing(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    older = await world.base.get(KEYS, key["id"])
    assert older is not None
    await world.keys.update(ADMIN, key["id"], {"enabled": False})
    world.ring.learn(older.body)
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(key["key"])


async def test_clocks_that_differ_by_a_minute_hide_no_change(world: World) -> None:
    other = world.new_ring()
    key = await world.new_key()
    world.clock.advance(300)
    await other.authenticate(key["key"])
    world.clock.advance(-60)  # the instance that revokes the key is a minute behind
    await world.keys.delete(ADMIN, key["id"])
    world.clock.advance(60 + 30.001)
    with pytest.raises(InvalidApiKey):
        await other.authenticate(key["key"])


async def test_a_changed_key_is_changed_at_once_where_it_was_changed(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    await world.keys.delete(ADMIN, key["id"])
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(key["key"])


async def test_a_key_that_vanished_without_a_mark_is_missed_by_the_next_whole_reading(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    await world.base.delete(KEYS, key["id"])
    world.clock.advance(601)
    await world.ring.authenticate(key["key"])  # starts the whole reading behind it
    async with asyncio.timeout(5):
        while len(world.ring):
            await asyncio.sleep(0.001)
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(key["key"])


async def test_a_key_expires_to_the_second(world: World) -> None:
    key = await world.new_key(expires_at="2027-01-15T08:00:10Z")  # ten seconds from now
    await world.ring.authenticate(key["key"])
    world.clock.advance(9.9)
    assert world.ring.fresh(key["key"]) is not None
    world.clock.advance(0.2)
    assert world.ring.fresh(key["key"]) is None
    with pytest.raises(ExpiredApiKey) as raised:
        await world.ring.authenticate(key["key"])
    assert raised.value.code == "expired_api_key"


async def test_the_old_secret_works_while_its_grace_lasts(world: World) -> None:
    key = await world.new_key()
    rotated = (await world.keys.rotate(ADMIN, key["id"], {"grace_seconds": 60})).body
    assert rotated["id"] == key["id"]
    assert rotated["key"] != key["key"]
    for ring in (world.ring, world.new_ring()):
        assert (await ring.authenticate(key["key"])).key_id == key["id"]
        assert (await ring.authenticate(rotated["key"])).key_id == key["id"]
    world.clock.advance(61)
    assert (await world.ring.authenticate(rotated["key"])).key_id == key["id"]
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(key["key"])


async def test_a_secret_rotated_elsewhere_works_at_once(world: World) -> None:
    other = world.new_ring()
    key = await world.new_key()
    await other.authenticate(key["key"])
    rotated = (await world.keys.rotate(ADMIN, key["id"], {})).body
    assert (await other.authenticate(rotated["key"])).key_id == key["id"]


async def test_a_thousand_unknown_keys_at_once_cost_a_handful_of_reads(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    reads = world.store.calls["query"]
    flood = [unknown_key() for _ in range(1000)]
    flood[::2] = [key["key"][:-43] + new_secret() for _ in range(500)]  # a known id, another secret
    results = await asyncio.gather(*(world.ring.authenticate(one) for one in flood), return_exceptions=True)
    assert all(isinstance(result, InvalidApiKey) for result in results)
    assert world.store.calls["query"] - reads <= 2
    assert world.store.calls["get"] <= 3  # of making the key
    # Once refused, always refused: without another read.
    await asyncio.gather(*(world.ring.authenticate(one) for one in flood), return_exceptions=True)
    assert world.store.calls["query"] - reads <= 2


async def test_a_key_that_was_refused_is_refused_again_without_a_read(world: World) -> None:
    unknown = unknown_key()
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(unknown)
    reads = world.store.calls["query"]
    for _ in range(10):
        with pytest.raises(InvalidApiKey):
            await world.ring.authenticate(unknown)
    assert world.store.calls["query"] == reads


async def test_unknown_keys_one_after_another_cost_at_most_one_read_an_interval(world: World) -> None:
    clock = SystemClock()
    ring = world.new_ring(clock=clock)
    key = await world.new_key()
    await ring.authenticate(key["key"])
    reads = world.store.calls["query"]
    started = clock.monotonic()
    for _ in range(20):
        with pytest.raises(InvalidApiKey):
            await ring.authenticate(unknown_key())
    intervals = (clock.monotonic() - started) / LOOKUP_INTERVAL
    assert world.store.calls["query"] - reads <= intervals + 1


async def test_a_text_that_is_no_key_costs_no_read(world: World) -> None:
    for text in ("sk-something", "x" * 65, "llmp_", "é", "\udcff"):
        with pytest.raises(InvalidApiKey):
            await world.ring.authenticate(text)
    assert not world.store.calls


async def test_known_keys_work_for_ten_minutes_without_the_store_and_unknown_ones_get_503(
    world: World,
) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    world.store.down = True
    for _ in range(19):
        world.clock.advance(31)
        assert (await world.ring.authenticate(key["key"])).key_id == key["id"]
        with pytest.raises(CatalogUnavailable):
            await world.ring.authenticate(unknown_key())
    world.clock.advance(31)
    with pytest.raises(CatalogUnavailable) as raised:
        await world.ring.authenticate(key["key"])
    assert raised.value.status == 503
    world.store.down = False
    world.clock.advance(11)
    assert (await world.ring.authenticate(key["key"])).key_id == key["id"]


async def test_an_instance_that_never_saw_the_store_answers_503_to_everyone_but_the_admin(
    world: World,
) -> None:
    key = await world.new_key()
    ring = world.new_ring()
    world.store.down = True
    with pytest.raises(CatalogUnavailable):
        await ring.authenticate(key["key"])
    assert (await ring.authenticate(ADMIN_TEXT)).admin


async def test_a_store_that_is_away_is_asked_seldom(world: World) -> None:
    key = await world.new_key()
    await world.ring.authenticate(key["key"])
    world.clock.advance(31)
    world.store.down = True
    reads = world.store.calls["query"]
    for _ in range(100):
        await world.ring.authenticate(key["key"])
    assert world.store.calls["query"] - reads == 1


async def test_a_store_that_hangs_holds_up_no_known_key_for_long(world: World) -> None:
    key = await world.new_key()
    ring = world.new_ring(patience=0.05)
    await ring.authenticate(key["key"])
    world.store.hanging = True
    world.clock.advance(31)
    async with asyncio.timeout(2):
        assert (await ring.authenticate(key["key"])).key_id == key["id"]
        with pytest.raises(CatalogUnavailable):
            await ring.authenticate(unknown_key())


async def test_a_client_that_leaves_does_not_end_the_question_for_the_others(world: World) -> None:
    key = await world.new_key()
    ring = world.new_ring()
    first = asyncio.create_task(ring.authenticate(key["key"]))
    second = asyncio.create_task(ring.authenticate(key["key"]))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).key_id == key["id"]


async def test_a_broken_document_is_skipped_and_the_others_serve(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    key = await world.new_key()
    await world.base.create(KEYS, {"id": "broken", "updated_at": "yesterday", "role": "user"})
    await world.base.create(KEYS, {"id": "empty"})
    ring = world.new_ring()
    assert (await ring.authenticate(key["key"])).key_id == key["id"]
    assert "broken" in caplog.text


async def test_many_pages_of_keys_are_all_known(world: World) -> None:
    keys = [await world.new_key() for _ in range(7)]
    ring = world.new_ring(page=2)
    for key in keys:
        assert (await ring.authenticate(key["key"])).key_id == key["id"]
    assert world.store.calls["query"] == 4
    assert len(ring) == 7


async def test_the_admin_key_is_of_the_default_project(world: World) -> None:
    assert await world.ring.authenticate(ADMIN_TEXT) == ADMIN
    assert world.ring.fresh(ADMIN_TEXT) == ADMIN
    assert not world.store.calls


async def test_a_rotated_admin_key_and_the_one_before_both_work(world: World) -> None:
    await world.ring.authenticate(ADMIN_TEXT)
    new = "another-admin-key-of-more-than-32-characters"
    world.vault.secrets = {"llmproxy-admin-key": new, "llmproxy-admin-key-previous": ADMIN_TEXT}
    assert (await world.ring.authenticate(new)).admin
    assert (await world.ring.authenticate(ADMIN_TEXT)).admin
    del world.vault.secrets["llmproxy-admin-key-previous"]
    world.clock.advance(31)
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(ADMIN_TEXT)


async def test_an_admin_key_in_use_is_read_again_behind_the_requests(world: World) -> None:
    await world.ring.authenticate(ADMIN_TEXT)
    reads = world.vault.reads
    world.clock.advance(21)
    assert world.ring.fresh(ADMIN_TEXT) == ADMIN
    async with asyncio.timeout(5):
        while world.vault.reads < reads + 2:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.clock.advance(21)
    assert world.ring.fresh(ADMIN_TEXT) == ADMIN


async def test_an_admin_key_may_look_like_any_other(world: World) -> None:
    text = unknown_key()
    world.vault.secrets["llmproxy-admin-key"] = text
    assert (await world.ring.authenticate(text)).admin


async def test_a_short_admin_key_is_ignored_with_a_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.vault.secrets["llmproxy-admin-key"] = "short-and-sweet"
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate("short-and-sweet")
    assert "llmproxy-admin-key is ignored" in caplog.text
    assert "short-and-sweet" not in caplog.text


async def test_a_vault_that_was_never_seen_is_503_and_one_that_left_is_not_missed(world: World) -> None:
    world.vault.down = True
    with pytest.raises(CatalogUnavailable):
        await world.ring.authenticate(ADMIN_TEXT)
    key = await world.new_key()
    assert (await world.ring.authenticate(key["key"])).key_id == key["id"]
    with pytest.raises(CatalogUnavailable):
        await world.ring.authenticate(unknown_key())
    world.vault.down = False
    await world.ring.authenticate(ADMIN_TEXT)
    world.vault.down = True
    world.clock.advance(3600)
    assert (await world.ring.authenticate(ADMIN_TEXT)).admin
