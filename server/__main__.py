"""``python -m server``: the ``podium`` command."""

from server.cli import main

main(prog_name="podium")
