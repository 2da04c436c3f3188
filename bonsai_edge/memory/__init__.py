"""Memory is planned before a model is loaded."""
