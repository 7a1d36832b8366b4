"""What becomes of the figures: targets reached or not, a Markdown page, plots."""
