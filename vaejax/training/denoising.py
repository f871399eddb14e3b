"""Training in which q sees a corrupted x, while p(x | z) models the clean x."""

from collections.abc import Callable

import jax

from vaejax.objectives import walkback
from vaejax.training.terms import Objective, TermsOf
from vaejax.types import GenerativeModel, InferenceNetwork, Key, Observation

Corrupt = Callable[[Key, Observation], Observation]  # of one example


def denoising_terms(
    generative: GenerativeModel,
    inference: InferenceNetwork,
    objective: Objective,
    corrupt: Corrupt,
    *,
    most_walkback: int = 0,
) -> TermsOf:
    """The objective with q(z | corrupt(x)) and the clean x. With `most_walkback`, up to that many
    rounds of the model's own chain follow the corruption (`objectives.walkback`).

    Raises:
      ValueError: most_walkback is below 0.
    """
    if most_walkback < 0:
        raise ValueError(f"most_walkback must be 0 or more; got {most_walkback}")

    def terms(params, key, example, step):
        joint = generative.joint(params.generative, example.given)

        def posterior(seen):
            return inference.posterior(params.inference, seen, joint, example.given)

        corrupt_key, key = jax.random.split(key)
        seen = walkback(corrupt_key, posterior, joint, corrupt, example.x, most=most_walkback)
        return objective(key, posterior(seen), joint, example.x, step)

    return terms
