"""Models of tf_keras (Keras 2), also those whose `call` takes no `training`: layers inside know it by the learning phase."""

import numpy as np
import pytest

from harness import assert_parity, pair

pytest.importorskip("tensorflow")
keras = pytest.importorskip("tf_keras")

X = {"x": np.random.RandomState(0).standard_normal((6, 5)).astype(np.float32)}


def model(rate=0.25):
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(7, kernel_initializer=keras.initializers.GlorotUniform(seed=1))
            self.drop = keras.layers.Dropout(rate)

        def call(self, x):
            return self.drop(self.dense(x))

    return Plain()


def test_a_model_without_training_drops_in_training_all_the_same():
    result = assert_parity(model(), model(), inputs=X, seeds=[0])
    evaluation, training = result.parts
    assert (evaluation.mine.draws, len(training.pairing.matches)) == ([], 1)


def test_another_rate_is_told():
    result = pair(model(), model(0.5), inputs=X, seeds=[0])
    assert result.parting.cause == "the second draws with p = 0.5 where the first has 0.75"
