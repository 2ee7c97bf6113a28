"""`python -m sgonz` is `sgonz`."""

from sgonz.cli.main import main

if __name__ == "__main__":
    main()
