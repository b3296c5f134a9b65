"""NumPyro's NUTS, on PyMC models in JAX."""

from typing import Any

from bench.backends.pymc_jax import JAX, JaxBackend, LogDensity, Transitions
from bench.settings import Settings


class NumPyro(JaxBackend):
    """Models in PyMC, sampled by `numpyro.infer.NUTS`."""

    name = "numpyro"
    sampler = "NumPyro"
    imports = ("bench.backends.jax_start", "pymc", "pymc.sampling.jax", "numpyro.infer")
    needs = ("numpyro>=0.22", JAX)

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
            kept = {
                "position": state.z,
                "divergent": state.diverging,
                "gradients": state.num_steps,
                "depth": jnp.floor(jnp.log2(state.num_steps)) + 1,  # as NumPyro says to find it
                "energy": state.energy,
                "log_density": -state.potential_energy,
                "acceptance": state.accept_prob,
            }
            return state, kept

        state = kernel.init(key, settings.warmup, start)
        state, found = jax.lax.scan(step, state, length=settings.warmup + settings.draws)
        return Transitions(
            **{name: array[settings.warmup :] for name, array in found.items()},
            step_size=state.adapt_state.step_size,
            warmup_gradients=found["gradients"][: settings.warmup],
        )
