"""The Dockerfiles copy and install what there is; nothing here builds an image."""

import re
import tomllib

import pytest
from support import ROOT


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_an_image_gets_what_an_installation_needs(name: str) -> None:
    text = (ROOT / name).read_text()
    copied = [source for line in re.findall(r"^COPY (.*)$", text, flags=re.MULTILINE) for source in line.split()[:-1]]
    let_in = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)
    assert copied == let_in
    assert [path for path in copied if not (ROOT / path).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = project["tool"]["setuptools"]["package-dir"].values()
    needed = {folder.split("/")[0] for folder in folders} | {project["project"]["readme"]}
    assert needed | {"pyproject.toml", "constraints.txt", "data"} <= set(copied)
    [extras] = re.findall(r"--editable '\.\[(.*)\]'", text)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
    assert ("gpu" in extras.split(",")) == name.endswith(".gpu")
