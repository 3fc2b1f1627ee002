"""What a lesson may be, and lessons found in plain words. Pure."""
