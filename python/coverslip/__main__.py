"""``python -m coverslip``."""

from coverslip.cli import main

if __name__ == "__main__":
    main()
