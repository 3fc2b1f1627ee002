"""`/metrics` as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.support.desk import Api

Sample = tuple[str, str]


async def scrape(api: Api) -> dict[Sample, float]:
    """Every sample by its name and the value of its label."""
    async with api.session.get(f"{api.url}/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        text = await answer.text()
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
