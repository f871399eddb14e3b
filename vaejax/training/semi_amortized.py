"""Training in which gradient steps refine the encoder's lambda for each x before the bound."""

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
    """`objectives.semi_amortized`, starting at the lambda that the inference network predicts.

    Raises:
      TypeError: the inference network does not predict a lambda.
    """
    family, variational = inference.family, inference.variational
    if family is None or variational is None:
        raise TypeError(
            "semi_amortized_terms expects an inference network that predicts the lambda of a "
            "family; this one does not: make it with inference.amortized"
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
