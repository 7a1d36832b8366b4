"""Operations of the extension: batches, conditions, leases, changes of a part of a value."""
