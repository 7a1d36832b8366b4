"""Jobs: work on an account's data that takes longer than a request, and that any instance carries on."""
