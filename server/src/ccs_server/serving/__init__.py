"""`ccs serve`: granian's workers on a listener of ours, and what runs beside them in the supervising process."""
