"""What a machine can measure of itself: one file a kind of sensor, each a function that finds those that are there."""
