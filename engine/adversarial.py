"""DeepFillv1's training task: a generator against two Wasserstein critics (Yu et al. 2018, arXiv:1801.07892).

An iteration updates the critics ``Settings.critic_steps`` times and then the generator once, each update from pictures
of its own, with Adam (0.5, 0.9). See ``losses.wgan`` for the terms.
"""

from collections.abc import Sequence

import paddle

from engine.settings import Settings
from engine.task import Batch, Task, frozen, make_adam, mean_terms, update
from losses.inpainting import composite
from losses.wgan import PENALTY_WEIGHT, GeneratorLoss, critic_loss, discount_map, gradient_penalty
from models.critics import Critics, crop_boxes
from models.deepfill import DeepFillV1

BETAS = {"beta1": 0.5, "beta2": 0.9}


class AdversarialTask(Task):
    """WGAN-GP on ``model`` against ``critics``.

    The terms beside the generator's, for each critic: ``wasserstein``, its estimate of the distance between true and
    completed pictures, and ``penalty``, by how much its gradient in the hole misses length 1.

    Args:
        penalty_weight: of ``penalty`` in the critics' loss.
    """

    def __init__(
        self,
        model: DeepFillV1,
        critics: Critics,
        criterion: GeneratorLoss,
        settings: Settings,
        penalty_weight: float = PENALTY_WEIGHT,
    ):
        self.model, self.critics, self.criterion = model, critics, criterion
        self.settings, self.penalty_weight = settings, penalty_weight
        self.optimizer = make_adam(model, settings, **BETAS)
        self.critics_optimizer = make_adam(critics, settings, **BETAS)
        logged = [f"{term}_{name}" for name in critics.by_name() for term in ("wasserstein", "penalty")]
        self.terms, self.weights = (*criterion.weights, *logged), criterion.weights
        self.networks = {"generator": model, "critics": critics}
        self.others = {"critics": (critics, self.critics_optimizer)}

    def schedule(self, done: int) -> None:
        super().schedule(done)
        self.critics_optimizer.set_lr(self.settings.lr_at(done))

    def step(self, batches: Sequence[Batch]) -> dict[str, paddle.Tensor]:
        size = self.settings.accumulate
        *of_critics, of_generator = (batches[i : i + size] for i in range(0, len(batches), size))
        logged = [update(self.critics, self.critics_optimizer, self._critic_loss, group) for group in of_critics]
        with frozen(self.critics):
            terms = update(self.model, self.optimizer, self._generator_loss, of_generator)
        return terms | (mean_terms(logged) if logged else {})

    def _critic_loss(self, gt: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, dict[str, paddle.Tensor]]:
        """The critics' loss, and what it is made of."""
        with paddle.no_grad():
            completed = composite(self.model(gt * mask.expand_as(gt), mask), gt, mask)
        boxes = crop_boxes(mask, self.critics.local_size)
        views = [self.critics.views(picture, boxes) for picture in (gt, completed)]
        masks = self.critics.views(mask, boxes, mode="nearest")
        loss, terms = 0.0, {}
        for name, critic in self.critics.by_name().items():
            real, fake = (view[name] for view in views)
            distance = critic_loss(*critic(paddle.concat([real, fake])).split(2))
            penalty = gradient_penalty(critic, real, fake, masks[name])
            loss = loss + distance + self.penalty_weight * penalty
            terms |= {f"wasserstein_{name}": -distance, f"penalty_{name}": penalty}
        return loss, terms

    def _generator_loss(self, gt: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, dict[str, paddle.Tensor]]:
        """The generator's loss, and its terms."""
        discount = discount_map(mask, self.criterion.gamma)  # fetches the mask, so before there is much to wait for
        stages = self.model(gt * mask.expand_as(gt), mask, stages=True)
        completed = composite(stages.refined, gt, mask)
        views = self.critics.views(completed, crop_boxes(mask, self.critics.local_size))
        scores = {f"{name}_score": critic(views[name]) for name, critic in self.critics.by_name().items()}
        terms = self.criterion(stages.coarse, stages.refined, gt, mask, discount=discount, **scores)
        return self.criterion.total(terms), terms
