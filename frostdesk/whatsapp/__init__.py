"""The edge to WhatsApp's Cloud API: what it sends us, and what we send it."""
