"""How PlaidML, and Keras 2.2.4 on it, are used here; this file is read without them.

Both ended in 2020; what they need on a newer Python is given to them before their import:
``quiet`` imports PlaidML, ``keras2`` Keras, once the device is chosen.
"""
