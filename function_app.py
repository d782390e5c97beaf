"""The entry point of Azure Functions: settings, services, functions."""

from functions import create_app
from shared.bootstrap import build_services
from shared.settings import Settings
from shared.telemetry.logging import configure_logging

DEMO_PAUSE = 0.02
"""Seconds between the events of a demo model's stream, so that one can see it stream."""

settings = Settings.from_environment()
services = build_services(settings, demo_pause=DEMO_PAUSE)
configure_logging(settings.log_level, known_secrets=services.secrets.texts)
app = create_app(services)
