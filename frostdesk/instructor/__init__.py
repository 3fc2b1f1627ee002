"""What the instructor orders: decisions, retries, words of their own, the calendar's address."""
