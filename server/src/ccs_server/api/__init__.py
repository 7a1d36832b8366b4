"""The only place with Flask. `v1` and `v2` never import each other; what they share stands here."""
