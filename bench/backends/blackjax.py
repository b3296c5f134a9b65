"""BlackJAX's NUTS, on PyMC models in JAX."""

from typing import Any

from bench.backends.pymc_jax import JAX, JaxBackend, LogDensity, Transitions
from bench.settings import Settings


class BlackJAX(JaxBackend):
    """Models in PyMC, sampled by `blackjax.nuts` after `blackjax.window_adaptation`."""

    name = "blackjax"
    sampler = "BlackJAX"
    imports = ("bench.backends.jax_start", "pymc", "pymc.sampling.jax", "blackjax")
    needs = ("blackjax>=1.7", JAX)

    @staticmethod
    def transitions(log_density: LogDensity, key: Any, start: Any, settings: Settings) -> Transitions:
        """Run one chain by BlackJAX's own warm-up and transitions."""
        import blackjax
        import jax

        warmup_key, draws_key = jax.random.split(key)
        warmup = blackjax.window_adaptation(
            blackjax.nuts,
            log_density,
            target_acceptance_rate=settings.target_accept,
            adaptation_info_fn=lambda state, info, _: info.num_integration_steps,
            max_num_doublings=settings.max_treedepth,
        )
        (state, tuned), warmup_gradients = warmup.run(warmup_key, start, settings.warmup)
        transition = blackjax.nuts(log_density, **tuned).step

        def step(state: Any, key: Any) -> tuple[Any, Any]:
            state, info = transition(key, state)
            kept = {
                "position": state.position,
                "divergent": info.is_divergent,
                "gradients": info.num_integration_steps,
                "depth": info.num_trajectory_expansions,
                "energy": info.energy,
                "log_density": state.logdensity,
                "acceptance": info.acceptance_rate,
            }
            return state, kept

        _, found = jax.lax.scan(step, state, jax.random.split(draws_key, settings.draws))
        return Transitions(**found, step_size=tuned["step_size"], warmup_gradients=warmup_gradients)
