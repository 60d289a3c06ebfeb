import sys

from ingress.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
