"""A run that trains low-rank factors beside another's weights, by the program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from program import called, called_command

import score_sde
from score_sde.interop import export
from score_sde.runs.folder import opened

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

LORA = ("--config.training.lora.rank=2", "--config.training.lora.alpha=3")


@pytest.fixture(scope="module")
def trained(finished, small, tmp_path_factory):
    """Four steps of the program."""
    workdir = tmp_path_factory.mktemp("lora") / "run"
    flags = (*small, *LORA, f"--workdir={workdir}", "--config.optim.warmup=1")
    flags += ("--config.training.ema_decays=(0.5,)",)
    result = called(*flags, "--config.training.steps=4", f"--init_from={finished[0]}")
    assert result.returncode == 0, result.stderr
    return workdir


def test_weights_stay_and_only_factors_are_trained_averaged_and_saved(finished, trained):
    base, run = score_sde.load(finished[0]), score_sde.load(trained)
    for path, array in (base.params | base.constants).items():
        np.testing.assert_array_equal(run.constants[path], array)
    assert {path.partition("/")[0] for path in run.params} == {"lora"}
    raw = score_sde.load(trained, weights="raw")
    ups = [path for path in raw.params if path.endswith("/up")]
    assert all(float(jnp.abs(raw.params[path]).max()) > 0 for path in ups)
    assert any(not np.array_equal(raw.params[path], run.params[path]) for path in ups)


def test_it_is_exported_and_added_to_the_run_that_it_is_of(finished, trained, tmp_path):
    """By our own names, in peft's form: the same denoiser to 1e-6, and in the drawn samples."""
    path = tmp_path / "adapter.safetensors"
    result = called_command(export.main, str(trained), str(path))
    assert result.returncode == 0, result.stderr
    assert f"wrote step 4 of {trained} to {path}, by our own names" in result.stdout
    base, run = score_sde.load(finished[0]), score_sde.load(trained)
    x, t = jax.random.normal(jax.random.key(0), (2, 8, 8, 1)), jnp.full(2, 0.5)
    other, merged = run.denoise(x, t), score_sde.with_lora(base, path).denoise(x, t)
    np.testing.assert_allclose(merged.x0, other.x0, rtol=0, atol=1e-5)
    assert float(jnp.abs(base.denoise(x, t).x0 - other.x0).max()) > 1e-4
    out = tmp_path / "samples.npz"
    few = ("--mode=sample", "--num_samples=2", "--config.sampling.steps=2")
    drawn = []
    for flags in ((f"--workdir={finished[0]}", f"--lora={path}"), (f"--workdir={trained}",)):
        result = called(*flags, *few, f"--out={out}", "--overwrite")
        assert result.returncode == 0, result.stderr
        drawn.append(np.load(out)["samples"].astype(int))
    assert np.abs(drawn[0] - drawn[1]).max() <= 1
    result = called_command(
        export.main, str(trained), str(tmp_path / "b.safetensors"), "--layout=kohya"
    )
    assert (result.returncode, "have no released names" in result.stderr) == (2, True)


def test_another_run_starts_from_the_sum(finished, trained, tmp_path):
    """And an adapter of all of a run needs a run that has all of it."""
    from score_sde.runs.init_from import Request, read

    run = opened(trained)
    whole = read(Request(str(trained)), opened(finished[0]).experiment).weights
    merged = run.experiment.adapter.merged(run.params, run.constants)
    assert whole.params.keys() == opened(finished[0]).params.keys()
    for path, array in whole.params.items():
        np.testing.assert_array_equal(array, merged[path])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "adapts the weights of a run: give its folder as --init_from=RUN"),
        (
            ("--init_from=BASE", "--config.model.num_res_blocks=2"),
            "adapts all weights of a run, and",
        ),
        (("--init_from=BASE", "--config.training.lora.layers=('odd',)"), "none of the network's"),
    ],
)
def test_what_cannot_be_adapted_is_one_line(finished, small, tmp_path, flags, message):
    flags = [flag.replace("BASE", str(finished[0])) for flag in flags]
    result = called(*small, *LORA, f"--workdir={tmp_path / 'new'}", *flags)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "new" / "config.json").exists()
