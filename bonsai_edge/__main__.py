"""Run the command line with `python -m bonsai_edge`."""

from bonsai_edge.cli import main

if __name__ == "__main__":
    main(prog_name="bonsai-edge")
