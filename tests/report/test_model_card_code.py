"""The section of a model card on loading the model."""

import ast
import re

from champion_record import RECORD, changed

from kerastuna.search.report.model_card import model_card


def test_the_code_to_load_it_is_python_of_this_champion():
    card = model_card(RECORD)
    blocks = re.findall(r"```python\n(.*?)\n```", card, re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        ast.parse(block)
    assert "mlflow.keras.load_model('models:/mnist@champion')" in blocks[0]
    assert "kerastuna export --study mnist-convnet-15000-full" in card
    assert "kerastuna export --study 'a b; c'" in model_card(changed(study="a b; c"))
