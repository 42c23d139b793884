"""A ``tf.data`` pipeline of shuffled batches."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import tensorflow as tf

from epochmark.engines._shared.contract import Targets


def make_dataset(images: npt.NDArray[Any], labels: Targets, batch_size: int) -> Any:
    """Batches of these arrays in a new order each epoch, in float32, two of them made ahead: what
    Keras's own pipeline does with arrays. That one is tuned as it runs (``tf.data``'s autotune),
    and waits for its tuner to end; this one has none."""
    count = len(images)
    steps = -(-count // batch_size)
    with tf.device("/cpu:0"):
        pixels, targets = tf.constant(images), tf.constant(labels)

    def batches_of(order: Any) -> Any:
        starts = tf.data.Dataset.range(0, count, batch_size)
        return starts.map(lambda start: order[start : start + batch_size])

    def gathered(indices: Any) -> Any:
        return tf.cast(tf.gather(pixels, indices), tf.float32), tf.gather(targets, indices)

    orders = tf.data.Dataset.range(1).map(lambda _: tf.random.shuffle(tf.range(count)))
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = orders.flat_map(batches_of).map(gathered).prefetch(2)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).with_options(options)
