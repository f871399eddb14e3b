"""Why is a VAE a generative model and an autoencoder not? All of them on MNIST, side by side.

Dynamically binarized, all 60,000 images to train on, the networks of Burda et al. (2016;
784-200-200-50) and 50 epochs for all; the autoregressive model has no code and a network of its
own, and 10 epochs. What is measured is that of `digits_compare`.

Command:  vaejax run mnist_compare
Expected: a page, runs/mnist_compare/comparison.html, in tens of minutes on two cores
Measured: see mnist_compare.json, of before the control. -log p(x), 100 test images, Monte Carlo
error at most 0.07: MADE 87.99 (exact), regularized AE with a mixture 91.36, AE with one 92.26, IWAE
93.02, VAE 94.28 (AIS, upper bounds in expectation); 50 epochs, one seed. After 200 epochs the VAE
has 90.44
"""

from vaejax.evaluation import Compare
from vaejax.experiment import Comparison, Member

ALIKE = ("--data.validation", "0", "--train.epochs")
MEASURE = ("--evaluate.examples", "1000", "--evaluate.num-samples", "1000")
MADE = ("--data.name", "mnist", "--data.binarization", "dynamic")

comparison = Comparison(
    members=(
        Member("AE", "mnist_ae", (*ALIKE, "50", *MEASURE)),
        Member("denoising AE", "mnist_dae", (*ALIKE, "50", *MEASURE)),
        Member("regularized AE", "mnist_rae", (*ALIKE, "50", *MEASURE)),
        Member("VAE", "mnist_vae", (*ALIKE, "50", *MEASURE)),
        Member("IWAE", "mnist_iwae", (*ALIKE, "50", *MEASURE)),
        Member("MADE", "made_binarized_mnist", (*MADE, *ALIKE, "10", *MEASURE)),
    ),
    settings=Compare(examples=100, num_temperatures=100, ex_post=("gaussian", "mixture")),
    tuning=(
        "what was tuned, on the validation split of digits: the penalties of the regularized "
        "AE; on held-out training images of MNIST the denoising AE's corruption; of the others "
        "nothing"
    ),
)
