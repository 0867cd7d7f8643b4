"""Spatially adaptive losses for GAN-based super-resolution (arXiv 2403.10589): the library behind the workflow."""

__version__ = "0.1.0"
