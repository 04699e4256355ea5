"""A folder of images as a data set: one folder for each class, or such folders in `train/` and `test/`.

Classes are counted from 0 in the alphabetical order of their folders' names; the images of a class come in that of
theirs. Hidden files and folders are passed over, and so are files beside the class folders. In a class folder,
everything that is not an image is refused: passing it over would silently leave out what the user believes to be there,
such as photos in a format that Pillow does not read.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError
from ..messages import cause, shown
from .source import stand_in

_PARTS = {"train", "test", "val", "valid", "validation", "dev", "training", "testing"}
"""Folders of these names alone are parts of a data set, not its classes."""
_LITTER = {"thumbs.db", "desktop.ini"}
"""What file managers leave behind, besides hidden files."""
_GREY, _PALETTE, _DEEP = {"1", "L", "LA", "La"}, {"P", "PA"}, {"I", "F"}
"""Modes of Pillow: without colours, with either, and, by their first letter, with more than 8 bits."""
_ORIENTATION, _ON_ITS_SIDE = 0x0112, {5, 6, 7, 8}
"""The tag of Exif that says how a photo is turned, and its values for a quarter turn."""
_Result = TypeVar("_Result")


def open_image_folder(spec: str) -> dict[str, Callable[[], np.ndarray]]:
    """A reader for x_train and y_train and, where there is a test part, for x_test and y_test.

    Images are uint8 (n, height, width, 1), or (n, height, width, 3) where one of them has colours: each as a viewer
    shows it, the first frame of several, without transparency. Labels are int32 (n,).

    Only folders are looked at here, no image is opened, and the readers of the training part never open a test image.
    This and every reader raises DataError for what cannot be used.
    """
    root = Path(os.path.expanduser(spec))
    folders = _folders(root)
    named_as_parts = bool(folders) and _PARTS.issuperset(map(str.lower, folders))
    if not named_as_parts and not ("train" in folders and _folders(root / "train")):
        files, labels = _classes(root, folders)
        return {"x_train": partial(_images, files), "y_train": lambda: labels}
    _check_parts(root, folders)
    names = _folders(root / "train")
    files, labels = _classes(root / "train", names)
    readers = {"x_train": partial(_images, files), "y_train": lambda: labels}
    if "test" in folders:
        test_files, test_labels = _test_classes(root / "test", names)
        readers |= {"x_test": partial(_test_images, test_files, files), "y_test": lambda: test_labels}
    return readers


# What lies in the folders


def _check_parts(root: Path, folders: Sequence[str]) -> None:
    if "train" not in folders:
        raise DataError(
            f"{_quoted(root)} holds {_some(folders)}, but no train: name the folder of the training part train, and "
            "that of the test part test"
        )
    if others := [name for name in folders if name not in ("train", "test")]:
        raise DataError(
            f"{_quoted(root)} holds {_some(others)} beside train: a search knows train and test, and validates on a "
            f"tenth of train; move these images into train, or give {_quoted(root / 'train')} alone"
        )


def _classes(folder: Path, names: Sequence[str]) -> tuple[list[Path], np.ndarray]:
    """The files of the class folders in `folder`, and the number of each one's class, int32 (n,)."""
    if not names:
        raise DataError(
            f"{_quoted(folder)} has no class folders: put the images of each class into a folder of its own, such as "
            f"{_quoted(folder / 'cat' / '1.png')}"
        )
    files = {name: _files(folder / name) for name in names}
    for name in names:
        if not files[name]:
            raise DataError(f"{_quoted(folder / name)} has no images: add some, or remove the folder")
    if len(names) == 1:
        raise DataError(f"{_quoted(folder)} has only the class {names[0]!r}: a classifier needs two or more")
    return _numbered(files, names)


def _test_classes(folder: Path, classes: Sequence[str]) -> tuple[list[Path], np.ndarray]:
    names = _folders(folder)
    if unknown := [name for name in names if name not in classes]:
        raise DataError(
            f"{_quoted(folder)} has {_some(unknown)}, which train lacks (it has {_some(classes)}): a test class must "
            "be a training class; rename or remove the folder"
        )
    files = {name: _files(folder / name) for name in names}
    if not any(files.values()):
        raise DataError(
            f"{_quoted(folder)} has no images in class folders: put them there, such as into "
            f"{_quoted(folder / classes[0])}, or remove it"
        )
    return _numbered(files, classes)


def _numbered(files: dict[str, list[Path]], classes: Sequence[str]) -> tuple[list[Path], np.ndarray]:
    labels = [classes.index(name) for name, of_class in files.items() for _ in of_class]
    return [file for of_class in files.values() for file in of_class], np.array(labels, np.int32)


def _files(folder: Path) -> list[Path]:
    """What a class folder holds, in alphabetical order."""
    entries = _entries(folder)
    if inner := next((entry.name for entry in entries if entry.is_dir()), None):
        raise DataError(
            f"{_quoted(folder)} is a class folder, but holds the folder {inner!r}: a class folder holds images alone; "
            f"move them up, or give {_quoted(folder)} where its folders are the classes"
        )
    return [Path(entry.path) for entry in entries]


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What `folder` holds, in alphabetical order, without what is passed over."""
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not (entry.name.startswith(".") or entry.name.lower() in _LITTER)]
    except OSError as error:
        raise DataError(f"{_quoted(folder)} cannot be read ({error.strerror}): give a folder of images") from error
    return sorted(seen, key=lambda entry: entry.name)


# What is in the images


def _images(files: Sequence[Path]) -> np.ndarray:
    pixels: list[np.ndarray] = []
    for file in files:
        pixels.append(_decoded(file, _pixels))
        if len(pixels) == 1:
            _check_memory(file, pixels[0], len(files))
        _check_size(file, pixels[-1].shape[:2], files[0], pixels[0].shape[:2])
    channels = max(image.shape[2] for image in pixels)
    return np.stack([np.broadcast_to(image, (*image.shape[:2], channels)) for image in pixels])


def test_outline(spec: str) -> np.ndarray:
    """A stand-in for x_test of the folder `spec`: sizes and colours as the files tell them, no pixels."""
    root = Path(os.path.expanduser(spec))
    names = _folders(root / "train")
    files, training = _test_classes(root / "test", names)[0], _classes(root / "train", names)[0]
    shapes = [(_decoded(file, _size), _decoded(file, _has_colours)) for file in files]
    for file in files:
        _decoded(file, lambda image: image.verify())  # checksums, where the format has some
    for file, (size, _) in zip(files, shapes, strict=True):
        _check_size(file, size, files[0], shapes[0][0])
    colours = any(colour for _, colour in shapes) or any(_decoded(file, _has_colours) for file in training)
    return stand_in((len(files), *shapes[0][0], 3 if colours else 1), np.uint8)


def _size(image: Image.Image) -> tuple[int, int]:
    """Height and width as a viewer shows them."""
    turned = image.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
    return (image.width, image.height) if turned else (image.height, image.width)


def _check_size(file: Path, size: tuple[int, ...], first: Path, first_size: tuple[int, ...]) -> None:
    if size != first_size:
        raise DataError(
            f"{_quoted(file)} is {size[1]} pixels wide and {size[0]} high, {_quoted(first)} {first_size[1]} and "
            f"{first_size[0]}: all images must have one size; resize or crop them"
        )


def _check_memory(file: Path, first: np.ndarray, count: int) -> None:
    needed = 5 * first.size * count  # as bytes, and as float32
    if needed > (there := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
        height, width, _ = first.shape
        raise DataError(
            f"{count:,} images of {width} x {height} pixels, such as {_quoted(file)}, take {needed / 2**30:,.0f} GiB "
            f"of memory, and there are {there / 2**30:,.0f}: make the images smaller"
        )


def _test_images(files: Sequence[Path], training: Sequence[Path]) -> np.ndarray:
    """The images of `files`, with three channels if those of `training` have them."""
    images = _images(files)
    if images.shape[3] == 3 or not any(_decoded(file, _has_colours) for file in training):
        return images
    return np.repeat(images, 3, axis=3)


def _decoded(path: Path, decode: Callable[[Image.Image], _Result]) -> _Result:
    if not path.is_file():  # a pipe would be waited for
        raise DataError(f"{_quoted(path)} is not a file, or a link to none: remove it")
    try:
        with Image.open(path) as image:
            if image.mode[0] in _DEEP:
                raise DataError(
                    f"{_quoted(path)} has more than 8 bits for a pixel (mode {image.mode} of Pillow): convert it to 8 "
                    "bits, or write all images as floats into an .npz file"
                )
            return decode(image)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(
            f"{_quoted(path)} is not an image that Pillow reads: convert it, for example to PNG, or remove it"
        ) from error
    except Exception as error:  # damage shows in as many ways as there are formats
        raise DataError(f"{_quoted(path)} cannot be read ({cause(error)}): write it again, or remove it") from error


def _pixels(image: Image.Image) -> np.ndarray:
    """uint8 (height, width, channels), with one channel where there are no colours, else three."""
    array = np.asarray(_reduced(ImageOps.exif_transpose(image)))
    return array if array.ndim == 3 else array[..., np.newaxis]


def _has_colours(image: Image.Image) -> bool:
    return image.mode not in _GREY and (image.mode not in _PALETTE or _reduced(image).mode == "RGB")


def _reduced(image: Image.Image) -> Image.Image:
    """`image` in the mode L or RGB."""
    if image.mode in _GREY:
        return image.convert("L")
    if image.mode not in _PALETTE:
        return image.convert("RGB")
    colours = image.convert("RGBA").convert("RGB")  # in one step, Pillow warns of a palette with transparency
    red, green, blue = map(np.asarray, colours.split())
    return colours.getchannel("R") if np.array_equal(red, green) and np.array_equal(red, blue) else colours


def _quoted(path: Path) -> str:
    return shown(str(path))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
