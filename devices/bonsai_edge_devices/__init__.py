"""Knowledge of the machines that bonsai-edge runs on."""
