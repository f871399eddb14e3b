"""Why is a VAE a generative model and an autoencoder not? All of them on MNIST, side by side.

Dynamically binarized, 50,000 images to train on and 10,000 held out, the networks of Burda et al.
(2016; 784-200-200-50) and 50 epochs for all; the autoregressive model has no code and a network of
its own. What is measured is that of `digits_compare`.

Command:  vaejax run mnist_compare
Expected: a page, runs/mnist_compare/comparison.html, in tens of minutes on two cores
Measured: see mnist_compare.json
"""

from vaejax.evaluation import Compare
from vaejax.experiment import Comparison, Member

PROTOCOL = ("--data.validation", "10000", "--train.epochs", "50")
MEASURE = ("--evaluate.examples", "1000", "--evaluate.num-samples", "1000")

comparison = Comparison(
    members=tuple(
        Member(label, name, (*arguments, *PROTOCOL, *MEASURE))
        for label, name, *arguments in (
            ("AE", "mnist_ae"),
            ("denoising AE", "mnist_dae"),
            ("regularized AE", "mnist_rae"),
            ("VAE", "mnist_vae"),
            ("IWAE", "mnist_iwae"),
            ("MADE", "made_binarized_mnist", "--data.name", "mnist"),
        )
    ),
    settings=Compare(num_temperatures=300),
)
