"""`python -m frostdesk`, the same as `frostdesk`."""

from frostdesk.cli import main

if __name__ == "__main__":
    main()
