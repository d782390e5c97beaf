"""Responses: their ids, their streams, and where a call about a stored one goes."""
