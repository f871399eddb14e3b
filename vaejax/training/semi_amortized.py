"""Training in which the encoder's lambda is refined for each x before the bound is taken."""

from vaejax.objectives import semi_amortized
from vaejax.training.terms import TermsOf
from vaejax.types import GenerativeModel, InferenceNetwork


def semi_amortized_terms(
    generative: GenerativeModel,
    inference: InferenceNetwork,
    *,
    num_steps: int,
    learning_rate: float,
    through: bool,
) -> TermsOf:
    """`objectives.semi_amortized` of the lambda that the network predicts.

    Raises:
      TypeError: the network predicts no lambda of a family.
    """
    family, variational = inference.family, inference.variational
    if family is None or variational is None:
        raise TypeError(
            "semi_amortized_terms expects an inference network that predicts lambda of a family, "
            "as inference.amortized makes; this one has none"
        )

    def terms(params, key, example, step):
        del step
        return semi_amortized(
            key,
            family,
            variational(params.inference, example.x, example.given),
            generative.joint(params.generative, example.given),
            example.x,
            num_steps=num_steps,
            learning_rate=learning_rate,
            through=through,
        )

    return terms
