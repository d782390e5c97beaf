"""The entry point of Azure Functions: settings, services, functions."""

from functions import create_app
from shared.bootstrap import build_services
from shared.settings import Settings
from shared.telemetry.logging import configure_logging

settings = Settings.from_environment()
configure_logging(settings.log_level)
services = build_services(settings)
app = create_app(services)
