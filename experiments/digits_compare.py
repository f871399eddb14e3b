"""Why is a VAE a generative model and an autoencoder not? All of them on 8x8 digits, side by side.

All models have the same data, split, networks (an MLP of 100-100 on both sides of an 8-dimensional
code) and epochs; only the autoregressive model has another network, and no code. The page shows for
each model which parts of p(x, z) are defined, log p(x) of test images by one estimator, samples and
their quality, and what the code keeps of x. An autoencoder decodes N(0, I) and densities fitted to
its codes; a denoising one also draws by its chain. As the control, a VAE gets the same densities
fitted to its codes, besides its own p(z).

Command:  vaejax run digits_compare --seeds 0 1 2
Expected: a page, runs/digits_compare/comparison.html, in a quarter of an hour on two cores
Measured: see digits_compare.json. -log p(x), 100 test images, +- over seeds: MADE 22.642 +- 0.017
(exact), IWAE 22.735 +- 0.038, denoising AE with a mixture 22.754 +- 0.019, VAE 22.991 +- 0.027, AE
with a mixture 23.173 +- 0.018 (AIS, upper bounds in expectation). The control: VAE with a mixture
22.981 +- 0.015, IWAE with one 22.749 +- 0.034: a fitted density adds nothing to a p(z) that the
codes were trained to follow
"""

from vaejax.evaluation import Compare
from vaejax.experiment import Comparison, Member

comparison = Comparison(
    members=(
        Member("AE", "digits_ae"),
        Member("denoising AE", "digits_dae"),
        Member("regularized AE", "digits_rae"),
        Member("VAE", "digits_vae"),
        Member("IWAE", "digits_iwae"),
        Member("MADE", "digits_made"),
    ),
    # As digits_compare.json was measured; by default there are 500, so that missed modes show.
    settings=Compare(num_temperatures=100, ex_post=("gaussian", "mixture")),
    tuning=(
        "what was tuned, on the validation split of digits: the corruption of the denoising AE and "
        "the penalties of the regularized AE, over about ten settings each; of the others nothing"
    ),
)
