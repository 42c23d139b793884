"""The 2021 script, nothing around it: ``python bare_script.py MNIST_NPZ EPOCHS``.

As in the post but for the CPU branch, the data file, and a number of epochs to choose.
Prints last when ``fit`` was called and when the training had ended, by ``time.monotonic``.
"""

import sys
import time

import numpy as np
import tensorflow as tf
from tensorflow.keras.callbacks import LambdaCallback
from tensorflow.keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import Adam

data, epochs = sys.argv[1:]

tf.config.set_visible_devices([], "GPU")

with np.load(data) as arrays:
    x_train, y_train = arrays["x_train"], arrays["y_train"]
x_train = x_train.reshape(-1, 28, 28, 1) / 255.0

model = Sequential(
    [
        Input((28, 28, 1)),
        Conv2D(32, (3, 3), activation="relu"),
        Conv2D(64, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Flatten(),
        Dense(128, activation="relu"),
        Dense(10, activation="softmax"),
    ]
)
model.compile(loss="sparse_categorical_crossentropy", optimizer=Adam(0.001), metrics=["accuracy"])

ends = []
note = LambdaCallback(on_train_end=lambda logs: ends.append(time.monotonic()))
start = time.monotonic()
model.fit(x_train, y_train, batch_size=128, epochs=int(epochs), verbose=0, callbacks=[note])
print(start, ends[0])
