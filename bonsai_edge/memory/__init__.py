"""Memory is promised before a model is loaded, and the promise is kept while it runs."""
