"""`python -m sa_sr` is `sa-sr`."""

from sa_sr.cli import main

main()
