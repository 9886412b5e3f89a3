"""What a number and a picture are of, in a line."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from score_sde.report import facts
from score_sde.spaces import pictures

MODEL = {"step": 10_000, "weights": "ema 0.999"}
DRAWN = {"sampler": {"name": "PredictorCorrector", "steps": 250}, "sampling_seed": 3}
JUDGED = {**MODEL, **DRAWN, "n": 500, "extractor": {"extractor": "pixels"}, "data": {"name": "x"}}
DIGITS = {"name": "digits", "split": "test", "examples": 24, "of": 500}
REAL = {"n": 1297, "data": "digits", "split": "train"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"nfe": 250.0, "protocol": {**JUDGED, "reference": REAL}},
            "features pixels; 500 samples against 1,297 train examples of digits; "
            "step 10,000, ema 0.999 weights; PredictorCorrector, 250 evaluations each; seed 3",
        ),
        (
            {"protocol": {**JUDGED, "reference": {"n": None, "file": "fid.npz"}}},
            "features pixels; 500 samples against examples, fid.npz; "
            "step 10,000, ema 0.999 weights; PredictorCorrector; seed 3",
        ),
        (
            {"nfe_mean": 61.5, "protocol": {**MODEL, "data": DIGITS, "seed": 0}},
            "24 of 500 test examples of digits; step 10,000, ema 0.999 weights; "
            "61.5 evaluations each; seed 0",
        ),
        ({"of": "latents", "protocol": MODEL}, "of latents; step 10,000, ema 0.999 weights"),
        ({"value": 1.0}, ""),
        ({"protocol": [1]}, ""),
        ({"protocol": {"sampler": 3, "extractor": "x", "data": None}}, ""),
    ],
)
def test_a_number(entry, said):
    assert facts.of_number(entry) == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"value": 2.5, "standard_error": 0.01, "unit": "bits/dim"}, "2.5000 +- 0.0100 bits/dim"),
        ({"value": 0.5, "standard_error": None}, "0.5000"),
        (
            {
                "value": -1.25,
                "standard_error": 0.5,
                "unit": "nats",
                "exact": -1.0,
                "difference": {"value": -0.25, "standard_error": 0.125},
            },
            "-1.2500 +- 0.5000 nats; exact -1.0000; difference -0.2500 +- 0.1250",
        ),
        (
            {
                "value": 0.75,
                "standard_error": None,
                "of_real_examples": {"value": 0.875, "standard_error": 0.125},
            },
            "0.7500; real examples 0.8750 +- 0.1250",
        ),
        (
            {"value": 1.0, "standard_error": None, "unit": "of the model's mass", "kl": 0.0625},
            "1.0000 of the model's mass; KL(data || model) 0.0625 nats",
        ),
    ],
)
def test_a_value_and_what_is_beside_it(entry, said):
    assert facts.of_value(entry) == said


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {**MODEL, **DRAWN, "nfe": 250, "shown": 256, "of": 500},
            "256 of 500 samples; step 10,000, ema 0.999 weights; "
            "PredictorCorrector, 250 evaluations each; seed 3",
        ),
        (
            {**DRAWN, "guidance": {"name": "ClassifierFree", "scale": 3.0}, "nfe": 12, "shown": 4},
            "4 samples; PredictorCorrector guided by ClassifierFree of scale 3, "
            "12 evaluations each; seed 3",
        ),
        ({"shown": 64, "of": 64}, "64 samples"),
        (
            {"data": "digits", "split": "train", "shown": 64, "of": 1297},
            "64 of 1,297 train examples of digits",
        ),
        ({}, ""),
    ],
)
def test_a_picture_says_it_of_itself(tmp_path, about, said):
    path = tmp_path / "x.png"
    pictures.save_grid(path, np.zeros((4, 8, 8, 1), np.uint8))
    before = np.asarray(Image.open(path))
    pictures.annotate(path, json.dumps(about))
    np.testing.assert_array_equal(Image.open(path), before)
    assert facts.about(path) == about
    assert facts.of_picture(facts.about(path)) == said


def test_a_picture_that_says_nothing(tmp_path):
    path = tmp_path / "x.png"
    pictures.save_grid(path, np.zeros((4, 8, 8, 1), np.uint8))
    assert facts.about(path) == {}
    pictures.annotate(path, "[1]")
    assert facts.about(path) == {}
    path.write_text("text")
    assert facts.about(path) == {}
    assert facts.about(tmp_path / "none.png") == {}
    os.mkfifo(tmp_path / "pipe.png")
    assert facts.about(tmp_path / "pipe.png") == {}
