"""What steps of a backend cost on this machine, timed on synthetic models, and what was measured here before."""
