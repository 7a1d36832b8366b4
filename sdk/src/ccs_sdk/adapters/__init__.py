"""Adapters of other frameworks' stores. Each needs its extra: `pip install 'ccs-sdk[cachelib]'`."""
