"""One compiled program for many processes and samplers: they are arguments of it."""

import dataclasses

import jax
import jax.numpy as jnp

import score_sde
from score_sde import samplers
from score_sde.samplers.table import EPS, Table


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AnyOf(score_sde.SDE):
    """One of some processes, by its number: an argument of a function under `jax.jit`.

    Each method is that process's own, and the function is compiled once for all of them.

    Attributes:
        processes: what there is.
        which: its index in them, an integer array [].
    """

    processes: tuple[score_sde.SDE, ...] = dataclasses.field(metadata={"static": True})
    which: jax.Array

    def __post_init__(self):
        """Those that it stands for were checked."""

    def _number(self, name):
        return jnp.array([getattr(sde, name) for sde in self.processes])[self.which]

    def _values(self, name, t):
        t = jnp.asarray(t, jnp.result_type(t, float))
        # All are computed and one is taken: sooner compiled than a branch for each.
        return jax.lax.select_n(self.which, *[getattr(sde, name)(t) for sde in self.processes])

    t_min = property(lambda self: self._number("t_min"))
    t_max = property(lambda self: self._number("t_max"))
    prior_std = property(lambda self: self._number("prior_std"))

    def alpha(self, t):
        return self._values("alpha", t)

    def sigma(self, t):
        return self._values("sigma", t)

    def alpha_dot(self, t):
        return self._values("alpha_dot", t)

    def sigma_dot(self, t):
        return self._values("sigma_dot", t)

    def prior_logp(self, x, dimension=None):
        found = [sde.prior_logp(x, dimension) for sde in self.processes]
        return jax.lax.select_n(self.which, *found)


def any_of(sde, processes):
    """The process as one of these, equal to one of which it is."""
    processes = tuple(processes)
    return AnyOf(processes, jnp.int32(processes.index(sde)))


@jax.tree_util.register_pytree_node_class
class Planned(samplers.PredictorCorrector):
    """A predictor-corrector sampler for one process: an argument of a function under `jax.jit`.

    Its own plan and its numbers are arrays; the program depends on the other options alone.
    """

    def __init__(self, options, arrays):
        self._set(options=options, arrays=arrays, **options, **arrays)

    def _set(self, **attributes):
        for name, value in attributes.items():
            object.__setattr__(self, name, value)  # the class is frozen

    def plan(self, sde):
        return self.coefficients._replace(table=Table(EPS, *self.coefficients.table))

    def tree_flatten(self):
        return tuple(self.arrays.values()), (tuple(self.options.items()), tuple(self.arrays))

    @classmethod
    def tree_unflatten(cls, static, arrays):
        options, names = static
        return cls(dict(options), dict(zip(names, arrays, strict=True)))


def as_argument(sampler, sde):
    """A sampler for a process, called as it is: an argument of a function under `jax.jit`.

    Predictor-corrector samplers share a program if they differ in predictor, grid and numbers only.
    """
    if not isinstance(sampler, samplers.PredictorCorrector):
        return jax.tree_util.Partial(sampler)
    options = {"steps": sampler.steps, "order": sampler.order, "corrector": sampler.corrector}
    options["predictor"] = "none" if sampler.predictor == "none" else "as planned"
    plan = sampler.plan(sde)
    plan = plan._replace(table=plan.table[1:])  # the arrays of it
    arrays = {"coefficients": plan, "corrector_steps": sampler.corrector_steps}
    if sampler.corrector != "none":
        options["noise_norm"] = sampler.noise_norm
        arrays["snr"] = sampler.snr
    return Planned(options, arrays)
