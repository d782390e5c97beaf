"""The ways in which the native lane calls a provider, as catalog documents and as what the provider must see."""

from dataclasses import dataclass, field

from shared import Json

SECRET_NAME = "UPSTREAM_KEY"
SECRET = "sk-upstream-000000000000"


@dataclass(frozen=True, slots=True)
class Target:
    """One way: `endpoint` and `address` are paths on the upstream, `{path}` being OpenAI's own below `/v1/`.

    `model_sent` is what the body's `model` says upstream, `query` the address's query, `credential` the
    header (name, value) that carries the model's secret.
    """

    name: str
    provider: str
    model_type: str
    endpoint: str
    address: str
    model_sent: str
    credential: tuple[str, str]
    parameters: Json = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def document(self, upstream: str) -> Json:
        """The model as `POST /manage/models` takes it; its id is the target's name."""
        return {
            "id": self.name,
            "code": "gpt-4o",
            "provider": self.provider,
            "model_type": self.model_type,
            "operations": ["ChatCompletion"],
            "costs": {"cost_input_1Mtokens": 2.5, "cost_output_1Mtokens": 10},
            "parameters": {
                "endpoint": upstream + self.endpoint,
                "secret_name": SECRET_NAME,
                **self.parameters,
            },
        }


TARGETS = (
    Target(
        "compatible",
        "OpenAICompatible",
        "OpenAICompatible",
        "/serving/v1",
        "/serving/v1/{path}",
        "gpt-4o",
        ("Authorization", f"Bearer {SECRET}"),
    ),
    Target(
        "openai",
        "OpenAI",
        "OpenAINative",
        "/v1",
        "/v1/{path}",
        "gpt-4o",
        ("Authorization", f"Bearer {SECRET}"),
    ),
    Target(
        "azure-dated",
        "Azure",
        "AzureOpenAI",
        "",
        "/openai/deployments/gpt-4o-west/{path}",
        "gpt-4o-west",
        ("api-key", SECRET),
        {"api_version": "2024-10-21", "deployment_name": "gpt-4o-west"},
        {"api-version": "2024-10-21"},
    ),
    Target(
        "azure-v1",
        "Azure",
        "AzureOpenAI",
        "/openai/v1",
        "/openai/v1/{path}",
        "gpt-4o-west",
        ("api-key", SECRET),
        {"deployment_name": "gpt-4o-west"},
    ),
    Target("foundry", "Azure", "AzureFoundry", "", "/openai/v1/{path}", "gpt-4o", ("api-key", SECRET)),
)
