"""Conversations that are made up, for `ccs demo`: what is said and saved in them, and how an account gets them."""
