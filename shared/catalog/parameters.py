"""`parameters` of a model: how its provider is reached. Names of secrets, never their values."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import Json

Seconds = Annotated[float, Field(gt=0, le=3600)]
Lane = Literal["native", "litellm"]


class Parameters(BaseModel):
    """Settings of one model's provider, checked. Nothing in it may be changed.

    `endpoint` has no trailing slash; `secret_name` and the values of `litellm_secrets` are Key Vault names.
    Times are in seconds; None leaves the app's setting in force. `lane` None lets the model type decide.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    endpoint: str | None = None
    secret_name: str | None = None
    auth: Literal["managed_identity"] | None = None
    deployment_name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")] | None = None
    gcp_project: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:-]{0,127}$")] | None = None
    # It becomes part of a host name: nothing that could end one may pass.
    location: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "us-central1"
    enable_tools: bool = True
    timeout: Seconds | None = None
    connect_timeout: Seconds | None = None
    stream_timeout: Seconds | None = None
    first_token_timeout: Seconds | None = None
    idle_timeout: Seconds | None = None
    max_retries: Annotated[int, Field(ge=0, le=10)] | None = None
    default_params: Json = Field(default_factory=dict)
    extra_headers: dict[str, str] = Field(default_factory=dict)
    lane: Lane | None = None
    stream_usage: bool = True
    health_probe: bool = False
    health_interval: Annotated[float, Field(ge=60, le=86_400)] = 60.0
    allow_data_sources: bool = False
    allow_gs_uris: bool = False
    litellm_params: Json = Field(default_factory=dict)
    litellm_secrets: dict[str, str] = Field(default_factory=dict)
