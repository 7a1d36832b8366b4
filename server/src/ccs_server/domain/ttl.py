"""Times to live (contract, section 2).

Which one is in force is decided inside the store's statements, by the database's clock.
"""

FOREVER = 0
MAX_TTL_SECONDS = 2_147_483_647
