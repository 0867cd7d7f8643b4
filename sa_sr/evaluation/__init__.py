"""Measurements, and the columns of the table that they make up: one row for each value."""

METHOD = ["method", "model", "extractor", "seed", "dataset"]
QUANTITY = ["metric", "region", "space", "border"]
COLUMNS = [*METHOD, "item", "frame", "frames", *QUANTITY, "value"]
FEWEST = 6
"""Independent pairs of values without which no difference is called better or worse."""
