"""The stratified split of images into training and validation."""

import numpy as np

VALIDATION_FRACTION = 0.1


def stratified_sizes(counts: np.ndarray, total: int, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """How many of `total` images each class gets: in proportion to `counts`, and within `least` and `most`.

    Rounds by the method of largest remainders. If remainders are equal, the first class wins. All arrays are int64
    (classes,), with `least.sum() <= total <= most.sum()`.
    """
    images = counts.sum()
    sizes = np.clip(counts * total // images, least, most)
    while missing := int(np.sign(total - sizes.sum())):
        owed = missing * (counts * total - sizes * images)  # whole numbers, so the same on every machine
        movable = sizes < most if missing > 0 else sizes > least
        sizes[np.argmax(np.where(movable, owed, np.iinfo(np.int64).min))] += missing
    return sizes


def split_indices(
    labels: np.ndarray, counts: np.ndarray, images: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training images and of the validation images, both int64.

    Validation takes `VALIDATION_FRACTION` of all images, stratified, whatever `images` is. At least one image
    validates, and at least one of each class trains.

    Args:
        labels: int32 (n,), from 0.
        counts: how many images each class has, int64 (classes,); all at least 1, and one of them at least 2.
        images: the most training images, at least as many as there are classes; None for all.
        seed: fixes both choices.
    """
    total = len(labels)
    # The place of each image within its class, in random order: the first ones validate, the next ones train.
    order = np.random.default_rng(seed).permutation(total)
    by_class = order[np.argsort(labels[order], kind="stable")]
    place = np.empty(total, np.int64)
    place[by_class] = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)

    spare = counts - 1  # one image of each class stays for training
    wanted = min(max(1, round(total * VALIDATION_FRACTION)), int(spare.sum()))
    validating = stratified_sizes(counts, wanted, np.zeros_like(counts), spare)
    training = counts - validating
    if images is not None and images < training.sum():
        training = stratified_sizes(training, images, np.ones_like(counts), training)

    first, end = validating[labels], (validating + training)[labels]
    return np.flatnonzero((first <= place) & (place < end)), np.flatnonzero(place < first)
