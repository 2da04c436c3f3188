"""What a machine tells of itself: one file a concern, each a function of the root that is read."""
