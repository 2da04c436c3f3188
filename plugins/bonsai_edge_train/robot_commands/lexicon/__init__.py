"""The words that robot commands are made of: hand-made lists by everyday domain, and an open vocabulary."""
