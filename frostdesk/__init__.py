"""A front desk on WhatsApp for an independent ski instructor."""
