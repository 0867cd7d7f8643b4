"""Measurements, and the columns of the table that they make up: one row for each value."""

METHOD = ["method", "model", "extractor", "seed", "dataset"]
QUANTITY = ["metric", "region", "space", "border"]
COLUMNS = [*METHOD, "item", "frame", "frames", *QUANTITY, "value"]
WHOLE = "all"
"""The region of what is measured on the whole frame."""
PAIRS = ("warp", "tof", "tlpips")
"""Metrics of a frame and the one before."""
