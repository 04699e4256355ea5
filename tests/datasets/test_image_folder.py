"""Folders of images: what becomes classes, pixels and labels, and what is refused."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets_support import like, refusal
from PIL import Image

from kerastuna.search.datasets import image_folder
from kerastuna.search.datasets.data import check_spec, has_test, load_dataset, load_test
from kerastuna.search.datasets.image_folder import open_image_folder
from kerastuna.search.datasets.task import Classification

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6) * 8
RED = np.zeros((5, 6, 3), np.uint8) + np.array([200, 30, 10], np.uint8)


def write(path: Path, pixels: np.ndarray = GREY, **options: Any) -> Path:
    """An image file; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def write_classes(folder: Path, names: str = "cat dog", images: int = 2, pixels: np.ndarray = GREY) -> Path:
    for name in names.split():
        for number in range(images):
            write(folder / name / f"{number}.png", pixels)
    return folder


def arrays(folder: Path) -> Mapping[str, np.ndarray]:
    return {name: read() for name, read in open_image_folder(str(folder)).items()}


# Classes, order, parts


def test_classes_and_images_are_in_alphabetical_order(tmp_path: Path):
    for shade, name in enumerate(("zebra/b", "ant/10", "zebra/a", "Bee/1", "ant/9")):
        write(tmp_path / f"{name}.png", np.full((4, 3), shade, np.uint8))
    found = arrays(tmp_path)
    assert found["x_train"].shape == (5, 4, 3, 1)
    assert (found["x_train"].dtype, found["y_train"].dtype) == (np.uint8, np.int32)
    # Bee, ant (10, 9), zebra (a, b)
    assert found["x_train"][:, 0, 0, 0].tolist() == [3, 1, 4, 2, 0]
    assert found["y_train"].tolist() == [0, 1, 1, 2, 2]


def test_a_folder_loads_as_a_data_set(tmp_path: Path):
    write_classes(tmp_path / "photos", "a b c", images=10)
    data = load_dataset(f"{tmp_path}/photos/")
    assert (data.name, data.task, data.input_shape) == ("photos", Classification(3), (5, 6, 1))
    np.testing.assert_array_equal(data.x_train[0, ..., 0], GREY.astype(np.float32) / 255)
    assert (len(data.x_train), len(data.x_validation)) == (27, 3)
    assert not has_test(str(tmp_path / "photos"))
    assert load_test(str(tmp_path / "photos"), data) is None


def test_folders_are_classes_however_few_their_images(tmp_path: Path):
    write_classes(tmp_path, "a b c d", images=1)
    write(tmp_path / "a" / "more.png")
    assert load_dataset(str(tmp_path)).task == load_dataset(str(tmp_path), task="classification").task
    assert "is a folder of images by class" in refusal(load_dataset, tmp_path, task="regression")


def test_parts(tmp_path: Path):
    write_classes(tmp_path / "train", "a b c")
    write_classes(tmp_path / "test", "c a", images=1, pixels=GREY // 2)
    check_spec(str(tmp_path))
    data = load_dataset(str(tmp_path))
    assert (data.task, len(data.x_train) + len(data.x_validation)) == (Classification(3), 6)
    part = load_test(str(tmp_path), data)
    assert part is not None
    np.testing.assert_array_equal(part[0][0, ..., 0], (GREY // 2).astype(np.float32) / 255)
    assert part[1].tolist() == [0, 2]  # as the training part counts them


def test_train_alone_has_no_test_part(tmp_path: Path):
    write_classes(tmp_path / "train")
    data = load_dataset(str(tmp_path))
    assert data.task == Classification(2)
    assert load_test(str(tmp_path), data) is None


def test_a_class_may_be_called_train(tmp_path: Path):
    write_classes(tmp_path, "bus train")
    assert arrays(tmp_path)["y_train"].tolist() == [0, 0, 1, 1]


def test_training_never_opens_the_test_part(tmp_path: Path):
    write_classes(tmp_path / "train", images=5)
    (tmp_path / "test" / "cat").mkdir(parents=True)
    os.mkfifo(tmp_path / "test" / "cat" / "1.png")  # whoever opened it would wait for ever
    (tmp_path / "test" / "dog").mkdir()
    (tmp_path / "test" / "dog" / "1.png").write_text("no image")
    check_spec(str(tmp_path))
    assert has_test(str(tmp_path))
    data = load_dataset(str(tmp_path))
    assert data.task == Classification(2)
    assert "test/cat/1.png' is not a file" in refusal(load_test, tmp_path, like=data)
    (tmp_path / "test" / "cat" / "1.png").unlink()
    assert "test/dog/1.png' is not an image" in refusal(load_test, tmp_path, like=data)


def test_the_fingerprint_is_of_the_pixels(tmp_path: Path):
    def fingerprint(folder: str, suffix: str, **changed: int) -> str:
        for name in ("b", "a"):
            for shade in range(3):
                pixels = np.full((4, 4), changed.get(f"{name}{shade}", shade * 9), np.uint8)
                write(tmp_path / folder / name / f"{shade}{suffix}", pixels)
        return load_dataset(str(tmp_path / folder)).fingerprint

    assert fingerprint("one", ".png") == fingerprint("two", ".bmp")
    assert fingerprint("one", ".png") != fingerprint("three", ".png", b2=1)


@pytest.mark.parametrize(("spec", "name"), [("my photos/", "my-photos"), (".", "here"), ("./in.side", "in.side")])
def test_the_name_is_that_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, name: str):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_classes(Path(spec))
    assert load_dataset(spec).name == name


# What is passed over


def test_hidden_files_and_what_lies_beside_the_classes_are_passed_over(tmp_path: Path):
    write_classes(tmp_path)
    for litter in ("cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "README.txt", "labels.csv"):
        (tmp_path / litter).write_text("not an image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "dog" / ".thumbnails").mkdir()
    check_spec(str(tmp_path))
    assert arrays(tmp_path)["y_train"].tolist() == [0, 0, 1, 1]


# Pixels


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "pgm", "jpg", "JPEG", "webp"])
def test_grey_files_have_one_channel(tmp_path: Path, suffix: str):
    write_classes(tmp_path, "cat")
    write(tmp_path / "dog" / f"1.{suffix}", GREY, **({"lossless": True} if suffix == "webp" else {}))
    if suffix == "webp":  # which knows nothing but colours
        assert arrays(tmp_path)["x_train"].shape == (3, 5, 6, 3)
        return
    image = arrays(tmp_path)["x_train"][2, ..., 0]
    assert np.abs(image.astype(int) - GREY).max() <= (6 if suffix in ("jpg", "JPEG") else 0)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "ppm", "jpg", "webp"])
def test_coloured_files_have_three_channels_and_the_grey_ones_with_them(tmp_path: Path, suffix: str):
    write(tmp_path / "cat" / "1.png", GREY)
    write(tmp_path / "dog" / f"1.{suffix}", RED)
    grey, red = arrays(tmp_path)["x_train"]
    np.testing.assert_array_equal(grey, np.repeat(GREY[..., None], 3, axis=2))
    assert np.abs(red.astype(int) - RED).max() <= (6 if suffix in ("jpg", "webp") else 0)


def palette(pixels: np.ndarray, *, transparent: bool) -> Image.Image:
    image = Image.fromarray(pixels).convert("P", palette=Image.Palette.ADAPTIVE)
    if transparent:
        image.info["transparency"] = bytes([0] * 256)
    return image


def with_alpha(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(np.zeros(pixels.shape[:2], np.uint8)))
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (with_alpha(GREY), GREY[..., None]),
        (with_alpha(RED), RED),
        (palette(GREY, transparent=False), GREY[..., None]),
        (palette(GREY, transparent=True), GREY[..., None]),
        (palette(RED, transparent=True), RED),
        (Image.fromarray(GREY > 99), np.where(GREY > 99, 255, 0)[..., None]),
    ],
    ids=["LA", "RGBA", "P", "P transparent", "P coloured", "1"],
)
def test_modes(tmp_path: Path, image: Image.Image, expected: np.ndarray):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "1.png")
    np.testing.assert_array_equal(arrays(tmp_path)["x_train"][0], expected)


def test_the_first_frame_of_several(tmp_path: Path):
    write_classes(tmp_path, "cat")
    others = [Image.fromarray(RED), Image.fromarray(GREY)]
    write(tmp_path / "dog" / "1.gif", GREY, save_all=True, append_images=others)
    np.testing.assert_array_equal(arrays(tmp_path)["x_train"][2, ..., 0], GREY)


def test_a_photo_is_turned_as_its_camera_says(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a viewer turns it clockwise
    write(tmp_path / "cat" / "1.png", GREY, exif=exif)
    write(tmp_path / "dog" / "1.png", np.rot90(GREY, -1))
    first, second = arrays(tmp_path)["x_train"]
    np.testing.assert_array_equal(first, second)


def test_grey_test_images_follow_the_training_images(tmp_path: Path):
    write_classes(tmp_path / "train", "cat", images=3)
    write_classes(tmp_path / "train", "dog", pixels=RED)
    write_classes(tmp_path / "test")
    part = load_test(str(tmp_path), load_dataset(str(tmp_path)))
    assert part is not None
    assert part[0].shape == (4, 5, 6, 3)


def test_coloured_test_images_of_grey_training_images(tmp_path: Path):
    write_classes(tmp_path / "train", images=5)
    write_classes(tmp_path / "test", pixels=RED)
    message = refusal(load_test, tmp_path, like=load_dataset(str(tmp_path)))
    assert "(5, 6, 3)" in message
    assert "(5, 6, 1)" in message


# Refusals


@pytest.mark.parametrize("function", [check_spec, load_dataset, partial(load_test, like=like())])
@pytest.mark.parametrize(
    ("paths", "named"),
    [
        ([], ["' has no class folders", "cat/1.png"]),
        (["1.png", "2.png"], ["' has no class folders", "cat/1.png"]),
        ([".hidden/1.png"], ["' has no class folders"]),
        (["cat/1.png"], ["only the class 'cat'", "two or more"]),
        (["cat/1.png", "dog/"], ["/dog' has no images"]),
        (["cat/1.png", "dog/.1.png"], ["/dog' has no images"]),
        (["cat/1.png", "dog/small/1.png"], ["/dog' is a class folder", "'small'"]),
        (["photos/cat/1.png", "photos/dog/1.png"], ["/photos' is a class folder", "'cat'", "give '"]),
        (["train/1.png", "test/1.png"], ["/train' has no class folders"]),
        (["train/", "test/"], ["/train' has no class folders"]),
        (["train/cat/1.png", "train/dog/"], ["train/dog' has no images"]),
        (["train/cat/1.png"], ["/train' has only the class 'cat'"]),
        (["test/cat/1.png"], ["holds test, but no train"]),
        (["Train/cat/1.png", "Test/cat/1.png"], ["holds Test, Train, but no train"]),
        (["train/cat/1.png", "train/dog/1.png", "val/cat/1.png"], ["holds val beside train", "/train' alone"]),
        (["train/cat/1.png", "train/dog/1.png", "cow/1.png"], ["holds cow beside train"]),
        (["train/a/1.png", "train/b/1.png", "test/"], ["/test' has no images in class folders", "/test/a'"]),
        (["train/a/1.png", "train/b/1.png", "test/1.png"], ["/test' has no images in class folders"]),
        (["train/a/1.png", "train/b/1.png", "test/a/"], ["/test' has no images in class folders"]),
        (["train/a/1.png", "train/b/1.png", "test/b/1.png", "test/c/1.png"], ["/test' has c,", "(it has a, b)"]),
        (["train/a/1.png", "train/b/1.png", "test/b/x/1.png"], ["/test/b' is a class folder", "'x'"]),
    ],
)
def test_folders_that_are_refused_unopened(
    tmp_path: Path, function: Callable[..., object], paths: list[str], named: list[str]
):
    for path in paths:
        if path.endswith("/"):
            (tmp_path / path).mkdir(parents=True)
        else:
            write(tmp_path / path)
    message = refusal(function, tmp_path)
    assert all(words in message for words in named), message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder(tmp_path: Path):
    write_classes(tmp_path)
    (tmp_path / "dog").chmod(0)
    message = refusal(check_spec, tmp_path)
    (tmp_path / "dog").chmod(0o700)
    assert "dog' cannot be read (Permission denied)" in message


def test_images_of_two_sizes(tmp_path: Path):
    write_classes(tmp_path)
    write(tmp_path / "dog" / "0_wide.png", np.zeros((5, 9), np.uint8))
    message = refusal(load_dataset, tmp_path)
    assert "dog/0_wide.png' is 9 pixels wide and 5 high" in message
    assert "cat/0.png' 6 and 5" in message
    assert "resize" in message


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is not an image that Pillow reads"),
        (b"a note about dogs", "is not an image that Pillow reads"),
        (b"\x89PNG\r\n\x1a\n", "9.png' "),
    ],
)
def test_a_file_that_is_no_image(tmp_path: Path, content: bytes, named: str):
    write_classes(tmp_path)
    (tmp_path / "dog" / "9.png").write_bytes(content)
    check_spec(str(tmp_path))
    message = refusal(load_dataset, tmp_path)
    assert "dog/9.png" in message
    assert named in message


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif"])
def test_an_image_cut_short(tmp_path: Path, suffix: str):
    write_classes(tmp_path)
    noise = np.random.default_rng(1).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    file = write(tmp_path / "dog" / f"9.{suffix}", noise)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 3 // 4])
    assert f"dog/9.{suffix}' " in refusal(load_dataset, tmp_path)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_more_than_eight_bits(tmp_path: Path, dtype: type):
    write_classes(tmp_path)
    write(tmp_path / "dog" / "9.tif", GREY.astype(dtype))
    message = refusal(load_dataset, tmp_path)
    assert "dog/9.tif' has more than 8 bits" in message
    assert ".npz" in message


def test_a_link_to_nothing(tmp_path: Path):
    write_classes(tmp_path)
    (tmp_path / "dog" / "9.png").symlink_to("gone.png")
    assert "dog/9.png' is not a file, or a link to none" in refusal(load_dataset, tmp_path)


def test_links_are_followed(tmp_path: Path):
    write_classes(tmp_path / "elsewhere")
    (tmp_path / "photos").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).symlink_to(tmp_path / "elsewhere" / name)
    assert arrays(tmp_path / "photos")["y_train"].tolist() == [0, 0, 1, 1]


def test_more_images_than_memory_holds(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    Image.new("1", (9000, 9000)).save(tmp_path / "cat" / "0.png")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for number in range(1, memory // (5 * 9000**2) + 2):
        (tmp_path / "cat" / f"{number}.png").symlink_to("0.png")
    write(tmp_path / "dog" / "0.png")
    message = refusal(load_dataset, tmp_path)
    assert "9000 x 9000 pixels" in message
    assert "make the images smaller" in message


def test_a_test_part_is_looked_at_without_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_classes(tmp_path / "train", images=10, pixels=RED)
    write_classes(tmp_path / "test")
    turned = Image.Exif()
    turned[0x0112] = 6
    write(tmp_path / "test" / "cat" / "photo.jpg", GREY.T.copy(), exif=turned)
    data = load_dataset(str(tmp_path), check_test=True)
    part = load_test(str(tmp_path), data)
    assert part is not None
    assert outline_of(tmp_path).shape == part[0].shape == (5, 5, 6, 3)
    decoded: list[Any] = []
    monkeypatch.setattr(Image.Image, "convert", lambda image, *given: decoded.append(image))
    assert outline_of(tmp_path).shape == (5, 5, 6, 3)
    assert decoded == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: write(folder / "cat" / "9.png", GREY.T.copy()), "all images must have one size"),
        (lambda folder: (folder / "cat" / "9.png").write_text("none"), "is not an image that Pillow reads"),
        (lambda folder: tear(write(folder / "cat" / "9.png")), "cannot be read"),
        (lambda folder: write_classes(folder, "cat dog", 2, np.zeros((7, 7), np.uint8)), "both must have one shape"),
    ],
)
def test_a_test_part_that_cannot_be_used_is_found_before_it_is_opened(
    tmp_path: Path, spoil: Callable[[Path], Any], told: str
):
    write_classes(tmp_path / "train", images=10)
    write_classes(tmp_path / "test")
    spoil(tmp_path / "test")
    assert told in refusal(load_dataset, tmp_path, check_test=True)
    assert len(load_dataset(str(tmp_path)).x_train) == 18


def outline_of(folder: Path) -> np.ndarray:
    return image_folder.test_outline(str(folder))


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
