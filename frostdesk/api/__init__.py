"""The HTTP server: WhatsApp's webhooks, the instructor's commands and reads, the health checks."""
