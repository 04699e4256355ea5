"""Convolutions that XLA computes fast on a CPU inside a loop too.

XLA for CPUs has a fast convolution for one order of dimensions. It brings others into that order, such as those of
gradients, but only outside of loops: inside one, the gradient of a small layer takes 40 times as long (jax 12868).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax  # an extra
from jax import lax
from jax.extend.core import Literal


def with_canonical_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the same results, where every convolution has batch, rows, columns, channels in this order.

    Convolutions inside loops, branches and compiled functions that `function` itself calls stay as they are.

    Args:
        function: from trees of arrays to a tree of arrays.
    """

    def changed(*arguments: Any) -> Any:
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = _run(traced.jaxpr, traced.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return changed


def _run(program: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Run the operations of a traced program one after the other, the way JAX's documentation describes."""
    values = dict(zip([*program.constvars, *program.invars], [*constants, *arguments], strict=True))

    def value(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in program.eqns:
        operation, inputs = equation.primitive, map(value, equation.invars)
        if operation is lax.conv_general_dilated_p:
            outputs = _canonical_convolution(*inputs, **equation.params)
        else:
            bound = operation.get_bind_params(equation.params)
            functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # a tuple before JAX 0.10
            outputs = operation.bind(*functions, *inputs, **parameters)
        values.update(zip(equation.outvars, outputs if operation.multiple_results else [outputs], strict=True))
    return [value(variable) for variable in program.outvars]


def _canonical_convolution(images: Any, kernel: Any, *, dimension_numbers: Any, **parameters: Any) -> Any:
    image, window, result = dimension_numbers  # batch, channels and sides; outputs, inputs and sides; as the first
    rank = len(image)
    last, sides = (0, rank - 1, *range(1, rank - 1)), tuple(range(rank - 2))
    canonical = lax.ConvDimensionNumbers(last, (rank - 1, rank - 2, *sides), last)
    made = lax.conv_general_dilated_p.bind(
        lax.transpose(images, (image[0], *image[2:], image[1])),
        lax.transpose(kernel, (*window[2:], window[1], window[0])),
        dimension_numbers=canonical,
        **parameters,
    )
    places = {axis: place for place, axis in enumerate((result[0], *result[2:], result[1]))}
    return lax.transpose(made, [places[axis] for axis in range(rank)])
