"""Webhooks: what is told to the addresses that clients name, signed after https://www.standardwebhooks.com."""
