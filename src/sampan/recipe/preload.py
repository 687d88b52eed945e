"""Imported once by the fork server, so that every stage process starts with torch and transformers in memory."""

from .worker import preload

preload()
