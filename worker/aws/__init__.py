"""AWS as this project speaks to it: clients made in one place, and the calls of every receipt made cheap."""

from worker.aws.clients import SIGNED, Clients, clients, config, session

__all__ = ["SIGNED", "Clients", "clients", "config", "session"]
