"""Reports of the figures: targets, a Markdown page, plots."""
