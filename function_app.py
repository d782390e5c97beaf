"""The entry point of Azure Functions: settings, services, functions."""

from functions import create_app
from shared.bootstrap import build_services
from shared.settings import Settings
from shared.telemetry.logging import configure_logging

settings = Settings.from_environment()
services = build_services(settings)
configure_logging(settings.log_level, known_secrets=services.secrets.texts)
app = create_app(services)
