"""Measurements, and the columns of the table that they make up: one row for each value."""

METHOD = ["method", "model", "extractor", "seed", "dataset"]
QUANTITY = ["metric", "space", "border"]
COLUMNS = [*METHOD, "item", "frame", "frames", *QUANTITY, "value"]
