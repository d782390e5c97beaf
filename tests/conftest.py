"""What all tests share: nothing here may hide a missing piece of the product."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
"""As the product sets it before it imports litellm: without it, the import asks the network."""

settings.register_profile(
    "lean", deadline=None, max_examples=50, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lean")
