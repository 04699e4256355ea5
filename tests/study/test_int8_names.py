"""Names of metrics in int8."""

from kerastuna.search.study.int8_names import in_float, is_in_int8


def test_names_in_int8_end_so():
    assert (is_in_int8("val_accuracy_int8"), in_float("val_accuracy_int8")) == (True, "val_accuracy")
    assert (is_in_int8("val_accuracy"), in_float("val_accuracy")) == (False, "val_accuracy")
    assert not is_in_int8("int8_accuracy")
