"""A linear probe: how well a linear classifier predicts the label from the code."""

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from vaejax.evaluation.summary import mean_and_errors

_INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


def linear_probe(
    train_codes: Float[np.ndarray, "n d"],
    train_labels: Int[np.ndarray, " n"],
    test_codes: Float[np.ndarray, "m d"],
    test_labels: Int[np.ndarray, " m"],
    *,
    seed: int,
) -> dict[str, float]:
    """The accuracy on the test examples of multinomial logistic regression on standardized codes,
    and its standard error over test examples: {"accuracy", "std_error"}.

    The L2 penalty is chosen by the accuracy on a random fifth of the training examples; then the
    regression is fitted to all of them.

    Raises:
      ValueError: codes are not finite, or do not have shape (n, d); the numbers of codes and labels
        differ.
    """
    for name, codes, labels in (
        ("training", train_codes, train_labels),
        ("test", test_codes, test_labels),
    ):
        if codes.ndim != 2 or len(codes) != len(labels) or len(codes) < 2:
            raise ValueError(
                f"expected {name} codes (n, d) with n labels, n at least 2; got shape "
                f"{codes.shape} and {len(labels)} labels"
            )
        if not np.isfinite(codes).all():
            raise ValueError(f"expected finite {name} codes; got NaN or infinite values")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, ShuffleSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": _INVERSE_PENALTIES},
        cv=ShuffleSplit(1, test_size=0.2, random_state=seed),
    )
    with threadpool_limits(1):
        search.fit(np.asarray(train_codes, np.float64), train_labels)
        predicted = search.predict(np.asarray(test_codes, np.float64))
    correct = mean_and_errors(predicted == test_labels)
    return {"accuracy": correct["mean"], "std_error": correct["std_error_data"]}
