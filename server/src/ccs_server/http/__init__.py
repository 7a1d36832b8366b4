"""Our Flask: what any service could use, and nothing of this one's subject.

It imports no other package of this server but `domain` and `settings`; `api` and `serving` are built on it.
"""
