"""Throwaway database servers: real, durable, on loopback, gone when told. See deploy/README.md."""

from throwaway.fleet import Fleet, FleetError
from throwaway.mysql import MariaDb, MySql
from throwaway.postgres import Postgres
from throwaway.server import Server, ServerError

__all__ = ["Fleet", "FleetError", "MariaDb", "MySql", "Postgres", "Server", "ServerError"]
