"""Real servers out of wheels, so that one command brings everything up without any set-up."""
