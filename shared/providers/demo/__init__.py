"""A provider that answers from inside the process: a first run, and tests, without any credentials."""

from shared.providers.demo.provider import DemoProvider

__all__ = ["DemoProvider"]
