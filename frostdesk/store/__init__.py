"""PostgreSQL: the log, the rows that are derived from it, and who is working on what."""
