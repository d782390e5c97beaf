"""The smoke test: does a running proxy do what it is for? `python -m shared.smoke --url …`

It needs the standard library only, so that it runs wherever Python does.
"""

MODEL = "smoke-chat"
"""The demo model of a deployment that is there for this test alone."""
PROJECT = "smoke"
"""The project whose key the test uses; the model is private to it."""
