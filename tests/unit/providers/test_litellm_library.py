"""The late import of LiteLLM, and where the lane may connect to."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import ProviderUnreachable
from shared.providers.litellm_lane.addresses import AddressGuard
from shared.providers.litellm_lane.library import LiteLLMLibrary
from tests.unit.providers.lane import Lane

IMPORT = """
import asyncio, os, sys
from shared.providers.litellm_lane.library import LiteLLMLibrary

reached = []

def listen(name, values):
    if name in ("socket.connect", "socket.getaddrinfo"):
        reached.append(name)

sys.addaudithook(listen)
before = set(os.environ)
library = LiteLLMLibrary()
library.preload()
assert library.loaded() is None
module = asyncio.run(library.module())
assert library.loaded() is module
print(sorted(set(os.environ) - before), reached, module.telemetry, module.drop_params)
"""


def test_the_import_asks_no_network_and_reads_no_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FAKE_SECRET_OF_A_FILE=some-secret\n")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    switches = ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_MODE"]
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1
    shown, _, rest = lines[0].partition("]")
    assert [name for name in switches if name not in shown] == []
    assert "FAKE_SECRET_OF_A_FILE" not in shown
    assert rest.strip() == "[] False False"


async def test_a_caller_that_leaves_does_not_stop_the_import_for_others() -> None:
    library = LiteLLMLibrary()
    leaving = asyncio.ensure_future(library.module())
    staying = asyncio.ensure_future(library.module())
    await asyncio.sleep(0)
    leaving.cancel()

    assert (await staying).__name__ == "litellm"
    assert library.loaded() is await library.module()


async def test_an_endpoint_that_leads_to_a_metadata_address_is_refused(lane: Lane) -> None:
    model = lane.model("AnthropicNative", "sonnet-4-5")
    for host in ("169.254.169.254", "2852039166", "[fd00:ec2::254]", "168.63.129.16"):
        parameters = model.parameters.model_copy(update={"endpoint": f"http://{host}"})
        with pytest.raises(ProviderUnreachable):
            await lane.provider.send(lane.call(model.model_copy(update={"parameters": parameters})))


async def test_a_name_that_nobody_knows_is_unreachable(lane: Lane) -> None:
    model = lane.model("AnthropicNative", "sonnet-4-5", endpoint="https://no-such-host.invalid")
    with pytest.raises(ProviderUnreachable):
        await lane.send(model)


async def test_a_models_own_provider_needs_no_look_up(lane: Lane) -> None:
    model = lane.model("AnthropicNative", "sonnet-4-5", endpoint=None)
    await AddressGuard().check(model)
