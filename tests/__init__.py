"""FrostDesk's tests, on real servers and over real HTTP."""
