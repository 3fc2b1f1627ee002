"""What the handlers of one application share."""

from __future__ import annotations

from aiohttp import web
from arq.connections import ArqRedis

from frostdesk.api.bodies import Bodies
from frostdesk.api.connections import Connections
from frostdesk.auth import Gate
from frostdesk.doorbell import Doorbell
from frostdesk.settings import Settings
from frostdesk.store.append import EventStore
from frostdesk.store.database import Pool

SETTINGS = web.AppKey("settings", Settings)
BODIES = web.AppKey("bodies", Bodies)
CONNECTIONS = web.AppKey("connections", Connections)
GATE = web.AppKey("gate", Gate)
POOL: web.AppKey[Pool] = web.AppKey("pool")
STORE = web.AppKey("store", EventStore)
REDIS = web.AppKey("redis", ArqRedis)
DOORBELL = web.AppKey("doorbell", Doorbell)
