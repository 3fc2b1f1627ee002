"""The outside world played on one machine: a model and WhatsApp, as servers of their own.

They speak the real protocols, so that the service needs no branch for them.
"""
