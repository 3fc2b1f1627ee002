"""A running FrostDesk, broken on purpose in every way that production does.

`rig` starts it as real processes, `load` writes to it as customers do, `faults` break it, `judge`
tells whether anything was lost, said twice or left behind. `python -m tests.faults` does it all.
"""
