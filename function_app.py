"""The entry point of Azure Functions: settings, services, functions."""

from functions import create_app
from shared.bootstrap import build_services
from shared.settings import Settings

services = build_services(Settings.from_environment())
app = create_app(services)
