"""The batches of a compiled epoch; tests/training/test_jax_engine.py compares what is trained with `fit`."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastuna.search.training.jax_epoch import _filled_up, _joined


@settings(deadline=None, max_examples=30)  # JAX compiles for every shape
@given(samples=st.integers(1, 60), size=st.integers(1, 20))
def test_every_batch_has_the_same_size_and_every_sample_counts_once(samples: int, size: int):
    order = np.random.default_rng(samples).permutation(samples)
    batches, counts = _filled_up(jnp.asarray(order), min(size, samples))
    assert batches.shape == (len(counts), min(size, samples))
    counted = [int(each) for batch, count in zip(batches, counts, strict=True) for each in batch[:count]]
    assert counted == list(order)
    np.testing.assert_array_equal(_joined(batches, samples), order)
