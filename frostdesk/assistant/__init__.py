"""The assistant: what the model is told, how it is called, and what becomes of its answer."""
