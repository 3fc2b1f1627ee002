"""What tests of several modules share: databases, key spaces, processes, ports, patience."""
