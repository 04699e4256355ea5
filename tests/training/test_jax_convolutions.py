"""Convolutions in canonical order give the same numbers, and no other order is left."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from kerastuna.search.training.jax_convolutions import with_canonical_convolutions

CANONICAL = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


def arrays(*shapes: tuple[int, ...]) -> list[Any]:
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.normal(size=shape).astype(np.float32)) for shape in shapes]


def convolve(images: Any, kernel: Any, order: tuple[str, str, str] = ("NHWC", "HWIO", "NHWC"), **options: Any) -> Any:
    strides, padding = options.pop("strides", (1, 1)), options.pop("padding", "VALID")
    return lax.conv_general_dilated(images, kernel, strides, padding, dimension_numbers=order, **options)


def orders(function: Any, *arguments: Any) -> list[Any]:
    equations = jax.make_jaxpr(function)(*arguments).jaxpr.eqns
    return [each.params["dimension_numbers"] for each in equations if each.primitive is lax.conv_general_dilated_p]


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((3, 3, 4, 5), {}),
        ((2, 3, 4, 5), {"strides": (2, 2), "padding": "SAME"}),
        ((1, 1, 4, 2), {}),
        ((3, 3, 1, 8), {"feature_group_count": 4}),
    ],
)
def test_gradients_are_the_same_in_canonical_order(kernel: tuple[int, ...], options: dict[str, Any]):
    def loss(images: Any, kernel: Any) -> Any:
        return jnp.sum(jnp.tanh(jax.nn.relu(convolve(images, kernel, **options))))

    gradients = jax.grad(loss, argnums=(0, 1))
    given = arrays((6, 9, 8, 4), kernel)
    changed = with_canonical_convolutions(gradients)
    assert any(order != CANONICAL for order in orders(gradients, *given))
    assert all(order == CANONICAL for order in orders(changed, *given))
    for one, other in zip(gradients(*given), changed(*given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_any_order_of_dimensions_is_brought_into_the_canonical_one():
    order = ("CHNW", "OWIH", "WNCH")

    def function(images: Any, kernel: Any) -> Any:
        return {"made": convolve(images, kernel, order)}

    given = arrays((2, 7, 3, 6), (5, 3, 2, 2))
    changed = with_canonical_convolutions(function)
    assert orders(changed, *given) == [CANONICAL]
    np.testing.assert_allclose(changed(*given)["made"], function(*given)["made"], rtol=1e-5, atol=1e-5)


def test_trees_constants_and_other_operations_stay():
    constant = jnp.arange(3.0)

    def function(tree: dict[str, Any]) -> Any:
        total, _ = lax.scan(lambda carry, row: (carry + row, None), constant, tree["rows"])
        return tree | {"total": total, "two": 2.0}

    given = {"rows": arrays((4, 3))[0]}
    changed = with_canonical_convolutions(function)(given)
    assert changed.keys() == {"rows", "total", "two"}
    np.testing.assert_allclose(changed["total"], function(given)["total"], rtol=1e-6)
    assert changed["two"] == 2
