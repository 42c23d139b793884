"""epochmark: how fast does this machine train a neural network, and can the number be believed?

This module, ``worker``, ``engines``, ``workloads`` and ``native`` also run inside foreign
interpreters: Python 3.9 syntax, standard library, numpy and the engine's own framework only.
"""

__version__ = "0.1.0"
