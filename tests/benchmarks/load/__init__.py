"""How fast FrostDesk is, and what it takes: real processes, as users run them, under load.

PostgreSQL, Redis, `frostdesk serve` and `frostdesk worker` run on throw-away servers, with the
simulated model and WhatsApp at the edge, whose own time of the processor is told apart. WhatsApp
reports no delivery here. Each ratio is to something that was measured in the same run.
"""
