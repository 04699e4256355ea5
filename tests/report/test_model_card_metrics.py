"""The sections of a model card on accuracy."""

from champion_record import FRONT, RECORD, TARGET, changed, row, with_goal

from kerastuna.search.report.model_card import model_card


def test_a_first_opening_is_no_reason_for_doubt():
    test = RECORD["test"] | {"opening": 1}
    card = model_card(changed(test=test, openings=RECORD["openings"][:1]))
    assert "opened once for this study" in card
    assert "less reliable" not in card
    assert "not from the first" not in card


def test_one_seed_has_no_deviation():
    one = {"n": 1, "std": None}
    record = changed(
        candidates=[RECORD["candidates"][0] | one | {"values": [0.99]}],
        validation=RECORD["validation"] | one,
        test=RECORD["test"] | one,
    )
    card = model_card(record)
    assert row(card, "standard deviation") == ["unknown"]
    assert row(card, "76")[5] == "unknown"
    assert "rest on 1 seed: their spread is unknown" in card


def test_candidates_that_diverged_are_told():
    problem = "trial 3 with seed 7: the network could not be trained: loss is nan"
    assert f"Left out, since it could not be trained again: {problem}." in model_card(changed(diverged={"3": problem}))
    assert "Left out" not in model_card(changed(diverged={}))


def test_a_target_that_is_reached():
    card = model_card(with_goal(TARGET))
    assert "the 2 with the fewest MACs among those that reached val_accuracy 0.9915 again on 2 seeds" in card
    assert "and chose the one with the fewest MACs whose mean reaches 0.9915." in card
    assert "Chosen by the fewest MACs, of those that reach val_accuracy 0.9915 at the last epoch" in card
    assert "The target is 0.9915: the mean reaches it." in card
    assert row(card, "76")[2:4] == ["14,652", "3,578,496"]
    assert row(card, "34")[2:4] == ["9,871", "1,234,567"]
    for wrong in ("chose by the mean", "the best 2", "The best trials", "none reaches it", "does not"):
        assert wrong not in card


def test_a_target_that_the_mean_does_not_reach_is_said_to_be_missed():
    card = model_card(with_goal(TARGET | {"reach": ["val_accuracy", 0.9935]}))
    assert "chose the one whose mean comes closest to 0.9935: **none reaches it**." in card
    assert "The target is 0.9935: the mean does not reach it." in card
    assert "It was to reach a target, and on fresh seeds does not." in card
    assert "whose mean reaches" not in card


def test_a_champion_of_a_front():
    card = model_card(with_goal(FRONT))
    front = "the 2 with the best val_accuracy on the front of val_accuracy, parameters and bytes of RAM again on"
    assert front in card
    assert "and chose by the mean." in card
    assert "Chosen from a front, by val_accuracy at the last epoch" in card
    assert "The best trials" not in card
    one = with_goal(FRONT)
    one["candidates"] = one["candidates"][:1]
    assert "the one with the best val_accuracy on the front" in model_card(one)


def test_what_int8_costs():
    def told(mean, change):
        return {"metric": "accuracy", "values": [mean], "mean": mean, "float_mean": mean - change, "change": change}

    candidates = [{**one, "int8": told(0.9911, -0.0015)} for one in RECORD["candidates"]]
    candidates[1] = {**candidates[1], "int8": {"missing": "no reason"}}
    validation = RECORD["validation"] | {"int8": candidates[0]["int8"]}
    card = model_card(
        changed(candidates=candidates, validation=validation, test=RECORD["test"] | {"int8": told(0.9951, 0.0012)})
    )
    assert row(card, "76")[-1] == "0.9911 (-0.0015)"
    assert row(card, "34")[-1] == "unknown"
    assert row(card, "mean in int8") == ["0.9951 (+0.0012)"]
    assert card.count("In int8, as on a chip: every model converted as `kerastuna export` does it") == 2


def test_why_the_figures_in_int8_are_not_known():
    why = {"missing": "needs a|b"}
    parts = {name: RECORD[name] | {"int8": why} for name in ("validation", "test")}
    candidates = [{**one, "int8": why} for one in RECORD["candidates"]]
    card = model_card(changed(candidates=candidates, **parts))
    assert card.count("In int8, as on a chip: not known, needs a\\|b.") == 2
    assert "mean in int8" not in card
    assert "int8, as on a chip" not in model_card(changed())
