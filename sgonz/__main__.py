"""`python -m sgonz` is `sgonz`."""

from sgonz.cli import main

if __name__ == "__main__":
    main()
