"""How Keras 3, and the Keras 2 inside TensorFlow, are used here.

``engine`` is read without Keras; the other files import it, for the back end that
``KERAS_BACKEND`` names then.
"""
