"""compose.yaml: what it promises to those who use containers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from frostdesk.settings import DATABASE, SERVE, VARIABLES, WORKER

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

LASTING = ("postgres", "redis", "api", "worker")
SECRET = re.compile("PASSWORD|SECRET|TOKEN|KEY")
TAKEN_FROM_OUTSIDE = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def test_the_services_are_those_of_the_design() -> None:
    """PostgreSQL, Redis, one run that sets up the schema, the API and the worker."""
    assert set(SERVICES) == {*LASTING, "init"}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_watched_and_restarted(name: str) -> None:
    """Everything that runs on has a health check and comes back after it fell."""
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_down(name: str) -> None:
    """Every secret comes from outside, and compose says so where one is missing that is needed."""
    for variable, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(variable):
            assert value is None or TAKEN_FROM_OUTSIDE.fullmatch(value), variable


@pytest.mark.parametrize(
    ("name", "required"), [("init", DATABASE), ("api", SERVE), ("worker", WORKER)]
)
def test_every_command_gets_its_variables(name: str, required: tuple[str, ...]) -> None:
    """What a command requires is set for it, and nothing is given that no command knows."""
    given = SERVICES[name]["environment"]
    assert set(required) <= {variable for variable, value in given.items() if value}
    assert set(given) <= {variable.name for variable in VARIABLES}


def test_every_variable_can_be_set() -> None:
    """What the README lists can be set in containers; there no pooler hides the database."""
    given = set().union(*(service.get("environment", {}) for service in SERVICES.values()))
    left = {variable.name for variable in VARIABLES} - given
    assert left == {"FROSTDESK_DIRECT_DATABASE_URL"}


def test_workers_can_be_many() -> None:
    """Nothing in the worker can exist once only: no name and no port of the machine."""
    assert not {"container_name", "ports"} & set(SERVICES["worker"])


def test_nothing_starts_before_the_schema_is_there() -> None:
    """API and worker wait for the run that applies the schema, and that for PostgreSQL."""
    for name in ("api", "worker"):
        assert SERVICES[name]["depends_on"]["init"] == {
            "condition": "service_completed_successfully"
        }
    assert SERVICES["init"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_the_database_is_out_of_reach_and_the_api_is_local() -> None:
    """No server is published, and the API to this machine only."""
    assert "ports" not in SERVICES["postgres"]
    assert "ports" not in SERVICES["redis"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["api"]["ports"])


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The program does not run as root in its container, and the image holds no stray file."""
    image = SERVICES["api"]["build"]["dockerfile_inline"]
    assert "USER frostdesk" in image
    assert "COPY . " not in image
