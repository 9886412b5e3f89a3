"""Students on Gaussians: the exact one has no loss, and takes the teacher's steps at once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import VP, CosineVP, RectifiedFlow, analytic, samplers
from score_sde.objectives import ECT, Denoising, GuidanceDistillation, Progressive
from score_sde.objectives.guidance_distillation import SCALE
from score_sde.prediction import Prediction
from score_sde.runs.teacher import Teacher

pytestmark = pytest.mark.slow

KEY = jax.random.key(3)
MEAN, STD = 0.3, 0.5
PROCESSES = {"vp": VP(), "straight": RectifiedFlow(t_max=1.0)}


@dataclasses.dataclass(frozen=True)
class TwoSteps:
    """The pair that takes x_t where two steps of DDIM with the exact denoiser take it, of `steps`.

    A step of DDIM from t to s multiplies x - alpha mean by
    (alpha_t alpha_s std^2 + sigma_t sigma_s) / (alpha_t^2 std^2 + sigma_t^2).
    """

    sde: object
    steps: int
    shift: float = 0.0

    def factor(self, t, s):
        (a, b), (c, d) = ((self.sde.alpha(time), self.sde.sigma(time)) for time in (t, s))
        return (a * c * STD**2 + b * d) / (a**2 * STD**2 + b**2)

    def __call__(self, x, t, cond=None):
        s = t - (self.sde.t_max - self.sde.t_min) / self.steps
        middle = (t + s) / 2
        both = self.factor(t, middle) * self.factor(middle, s)
        (a, b), (c, d) = ((self.sde.alpha(time), self.sde.sigma(time)) for time in (t, s))
        a, b, c, d, both = (value[:, None] for value in (a, b, c, d, both))
        y = (x - a * MEAN) / (c * b - a * d)
        x0 = MEAN + (b * both - d) * y + self.shift
        return Prediction(x0, (c - a * both) * y - self.shift * a / b)


def taught(objective, sde, denoise):
    return objective.given(Teacher(denoise, sde, samplers.get("ddim")))


@pytest.mark.parametrize("name", PROCESSES)
def test_a_student_of_two_exact_steps_has_no_loss(x64, name):
    """And its N steps of DDIM end where the teacher's 2 N do; any other student has a loss."""
    sde, teacher = PROCESSES[name], analytic.gaussian(PROCESSES[name], np.full(1, MEAN), STD)
    objective = taught(Progressive(teacher="run", steps=3), sde, teacher)
    data = MEAN + STD * jax.random.normal(KEY, (256, 1))
    student = TwoSteps(sde, 3)
    loss = jax.jit(lambda data: objective(KEY, student, sde, data))(data)
    assert (loss < 1e-20).all()
    x = jax.random.normal(KEY, (8, 1))
    ends = []
    for model, steps in ((student, 3), (teacher, 6)):
        ddim = samplers.get("ddim", steps=steps, grid="uniform", denoise_final="none")
        run = jax.jit(lambda x, ddim=ddim, model=model: ddim(KEY, model, sde, x_init=x))
        ends.append(run(x))
    assert [int(end.nfe) for end in ends] == [3, 6]
    np.testing.assert_allclose(ends[0].x, ends[1].x, rtol=1e-10)


@pytest.mark.parametrize(
    ("weighting", "weight"),
    [("truncated_snr", lambda snr: jnp.maximum(snr, 1)), ("snr_plus_one", lambda snr: snr + 1)],
)
def test_the_weights_are_those_of_the_paper(x64, weighting, weight):
    """Of a student that is off by 0.1 in x0, at the times of N equal steps and no other."""
    sde = CosineVP()
    objective = Progressive(teacher="run", steps=4, weighting=weighting, stratified=True)
    exact = analytic.gaussian(sde, np.full(1, MEAN), STD)
    key_t, _ = jax.random.split(KEY)
    t, m, s = objective.times(key_t, sde, 8)
    span = (sde.t_max - sde.t_min) / 4
    expected = np.repeat(sde.t_min + span * np.arange(1, 5), 2)
    np.testing.assert_allclose(np.sort(t), expected, rtol=1e-12)
    np.testing.assert_allclose(jnp.stack([t - m, m - s]), span / 2, rtol=1e-9)
    student = TwoSteps(sde, 4, shift=0.1)
    taught_by = taught(objective, sde, exact)
    loss = jax.jit(lambda x: taught_by(KEY, student, sde, x))(jnp.zeros((8, 1)))
    np.testing.assert_allclose(loss, 0.01 * weight(jnp.exp(sde.log_snr(t))), rtol=1e-8)


def told(sde):
    """Gaussians of two classes, and of none between them; by classifier-free guidance of scale w.

    All have one width, so that guidance moves the mean: m_u + w (m_c - m_u).
    """
    means = jnp.array([0.0, -0.5, 0.7])
    pair = analytic.gaussian(sde, np.zeros(1), STD)

    def of(x, t, mean):
        alpha = sde.alpha(jnp.broadcast_to(t, x.shape[:1]))[:, None]
        centred = pair(x - alpha * mean, t)
        return Prediction(centred.x0 + mean, centred.eps)

    def teacher(x, t, cond=None):
        label = jnp.full(len(x), -1) if cond is None else cond["label"]
        return of(x, t, means[label + 1][:, None])

    def student(x, t, cond):
        return of(x, t, (cond[SCALE] * means[cond["label"] + 1])[:, None])

    return teacher, student


def test_a_student_that_knows_the_scale_has_no_loss(x64):
    """The guided teacher of each w; a student that knows one w alone has a loss."""
    sde = VP()
    teacher, student = told(sde)
    objective = taught(GuidanceDistillation(teacher="run", scale_max=4.0), sde, teacher)

    def fixed(x, t, cond):
        return student(x, t, {**cond, SCALE: jnp.full(len(x), 2.0)})

    @jax.jit
    def losses(data, cond):
        asked = []
        asks = lambda x, t, c: asked.append(c[SCALE]) or student(x, t, c)  # noqa: E731
        return [objective(KEY, one, sde, data, cond) for one in (asks, fixed)], asked[0]

    (knowing, of_one), scales = losses(jnp.zeros((64, 1)), {"label": jnp.arange(64) % 2})
    assert (knowing < 1e-24).all()
    assert of_one.mean() > 1e-3
    assert 1 <= scales.min() < 1.5
    assert 3.5 < scales.max() <= 4


def test_a_student_s_scale_is_1_where_none_is_told(x64):
    """The network behind it is told 1, and what the condition says otherwise."""
    model = GuidanceDistillation(teacher="run").model(
        lambda x, label, cond: cond[SCALE], VP(), lambda network: lambda x, t, c: network(x, t, c)
    )
    x = jnp.zeros((2, 1))
    np.testing.assert_array_equal(model(x, 0.5), [1, 1])
    np.testing.assert_array_equal(model(x, 0.5, {SCALE: jnp.array([2.0, 3.0])}), [2, 3])


def test_who_cannot_teach_is_refused():
    progressive = Progressive(teacher="run", steps=4)
    progressive.check_teacher(Denoising(), ())
    progressive.check_teacher(Progressive(teacher="run", steps=8), ())
    with pytest.raises(ValueError, match="student of steps=16, and teaches one of steps=8, not 4"):
        progressive.check_teacher(Progressive(teacher="run", steps=16), ())
    with pytest.raises(ValueError, match="it is a consistency model: give the run of a denoiser"):
        progressive.check_teacher(ECT(), ())
    with pytest.raises(ValueError, match="it is told no condition to be guided to"):
        GuidanceDistillation(teacher="run").check_teacher(Denoising(), ())
    with pytest.raises(ValueError, match="Progressive has no teacher: give the folder of its run"):
        Progressive().check(VP())
    with pytest.raises(ValueError, match="scale_min=5 is above scale_max=4: swap them"):
        GuidanceDistillation(scale_min=5.0, scale_max=4.0)
