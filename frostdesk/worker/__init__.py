"""What reacts to events: one conversation at a time, one step after the other."""
