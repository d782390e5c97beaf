"""What the app's identity must be allowed to do in Azure: the infrastructure's role table is checked against this."""

from collections.abc import Mapping

ADAPTER_ROLES: Mapping[str, tuple[str, ...]] = {
    # Reads and writes documents; the database and its containers are made by the infrastructure.
    "cosmos": ("Cosmos DB Built-in Data Contributor",),
    # Publishes wake-ups.
    "event_hubs": ("Event Hubs Data Sender",),
    # Reads secrets, writes none.
    "key_vault": ("Key Vault Secrets User",),
}
"""Azure's names of roles by adapter (a module beside this one)."""

HOST_ROLES: Mapping[str, tuple[str, ...]] = {
    # The package, locks of timers and checkpoints are blobs; the host writes its own events to a table, and may
    # look for its queues at any start.
    "AzureWebJobsStorage": (
        "Storage Blob Data Owner",
        "Storage Queue Data Contributor",
        "Storage Table Data Contributor",
    ),
    # The triggers read.
    "EventHubs": ("Event Hubs Data Receiver",),
    "APPLICATIONINSIGHTS": ("Monitoring Metrics Publisher",),
}
"""What the Functions host does with the same identity, by the prefix of the settings that connect it."""

MODEL_ROLES: tuple[str, ...] = ("Cognitive Services OpenAI User",)
"""What models with `auth: managed_identity` need on an Azure OpenAI account."""
