"""NumPyro's NUTS, on PyMC models in JAX."""

from typing import Any

from bench.backends.pymc_jax import JaxBackend, LogDensity, Transitions
from bench.settings import Settings


class NumPyro(JaxBackend):
    """Models in PyMC, sampled by `numpyro.infer.NUTS`."""

    name = "numpyro"
    imports = ("bench.backends.jax_start", "pymc", "pymc.sampling.jax", "numpyro.infer")
    needs = ("numpyro>=0.22", "jax>=0.10")

    @staticmethod
    def transitions(log_density: LogDensity, key: Any, start: Any, settings: Settings) -> Transitions:
        """Run one chain by the kernel's own warm-up and transitions."""
        import jax
        import jax.numpy as jnp
        from numpyro.infer import NUTS

        kernel = NUTS(
            potential_fn=lambda position: -log_density(position),
            target_accept_prob=settings.target_accept,
            max_tree_depth=settings.max_treedepth,
        )

        def step(state: Any, _: None) -> tuple[Any, Any]:
            state = kernel.sample(state, (), {})
            kept = (
                state.z, state.diverging, state.num_steps, state.energy, -state.potential_energy, state.accept_prob,
                state.adapt_state.step_size,
            )  # fmt: skip
            return state, kept

        state = kernel.init(key, settings.warmup, start)
        _, found = jax.lax.scan(step, state, length=settings.warmup + settings.draws)
        position, divergent, gradients, energy, density, acceptance, step_size = (
            part[settings.warmup :] for part in found
        )
        return Transitions(
            position=position,
            divergent=divergent,
            gradients=gradients,
            depth=jnp.floor(jnp.log2(gradients)) + 1,  # NumPyro keeps no depth; this is how it says to find it
            energy=energy,
            log_density=density,
            acceptance=acceptance,
            step_size=step_size[-1],
            warmup_gradients=found[2][: settings.warmup],
        )
