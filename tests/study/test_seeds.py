"""Seeds that are derived from others."""

from kerastuna.search.study.seeds import derive_seed


def test_seeds() -> None:
    assert derive_seed(0, "training", 1) == derive_seed(0, "training", 1)
    assert derive_seed(1, "a") == 2863185544  # whatever the process, the machine or the version of Python
    seeds = {derive_seed(study, "tpe", number) for study in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(1, 23) != derive_seed(12, 3)
