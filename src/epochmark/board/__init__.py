"""A web service to which results are sent: recomputed, not believed, and shown beside others.

What travels is in ``protocol.py``; a result comes in through ``intake/``, is kept by ``storage/``
and shown by ``pages/`` and ``api/``. ``client/`` is the other end; ``operating/`` is for who runs
the board.
"""
