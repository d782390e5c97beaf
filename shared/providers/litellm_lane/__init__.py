"""The LiteLLM lane: providers that need translation, called through the `litellm` library."""
