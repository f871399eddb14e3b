"""Why is a VAE a generative model and an autoencoder not? All of them on MNIST, side by side.

Images are dynamically binarized; all 60,000 are used for training. All models have the networks of
Burda et al. (2016; 784-200-200-50) and 50 epochs; only the autoregressive model has another
network, no code, and 10 epochs. The measurements are those of `digits_compare`.

Command:  vaejax run mnist_compare
Expected: a page, runs/mnist_compare/comparison.html, in about an hour on two cores
Measured: see mnist_compare.json. -log p(x), 100 test images, Monte Carlo error at most 0.07: MADE
88.04 (exact), IWAE with a mixture fitted to its codes 90.82, VAE with one 91.44, AE and regularized
AE with one 92.0, IWAE 93.16, VAE 94.21, AE with one Gaussian 101.9, denoising AE with a mixture
103.9 (AIS, upper bounds in expectation); 50 epochs, one seed. A mixture over the codes is worth 2.8
nats to the VAE: what an autoencoder with a mixture has over a VAE is the mixture
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
        "what was tuned, on the validation split of digits: the penalties of the regularized AE; "
        "on held-out training images of MNIST the denoising AE's corruption; of the others nothing"
    ),
)
