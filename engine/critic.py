"""Training against a critic of cells: the network's own loss, the critic's score in the hole, and feature matching.

An iteration updates the critic and then the network, both from the same pictures. At first the critic learns alone;
then its weight rises. Adam (0, 0.99) for both. See ``losses.hinge`` for the terms; not part of Liu et al. 2018, nor of
Yu et al. 2018, whose Wasserstein critics are in ``engine.adversarial``.
"""

from collections.abc import Sequence

import paddle
from paddle import nn

from engine.reconstruction import ReconstructionTask
from engine.settings import Settings
from engine.task import Batch, frozen, make_adam, mean_terms, update
from losses import InpaintingLoss
from losses.hinge import critic_loss, feature_matching, generator_score
from losses.inpainting import composite
from losses.wgan import RECONSTRUCTION, GeneratorLoss, discount_map
from models.deepfill import DeepFillV1

BETAS = {"beta1": 0.0, "beta2": 0.99}
LR_FACTOR = 3.0  # of the critic, times the network's


class CriticTask(ReconstructionTask):
    """``model`` under ``criterion`` and against ``critic``.

    The terms beside those of the criterion: ``adversarial``, the critic's score; ``matching``, of features; ``critic``,
    its own loss, which is not part of the network's.

    Args:
        critic: of ``models.cell_critics``.
        features: picture to features, frozen; for the critic and for matching.
        weights: of ``adversarial`` and ``matching``.
        critic_lr: 3 times the settings' when None; follows the same schedule.
        alone_iters, ramp_iters: iterations in which the critic alone learns, and in which its weight rises then.
    """

    def __init__(
        self,
        model: nn.Layer,
        criterion: InpaintingLoss,
        settings: Settings,
        critic: nn.Layer,
        features: nn.Layer,
        weights: dict[str, float],
        critic_lr: float | None = None,
        alone_iters: int = 100,
        ramp_iters: int = 150,
    ):
        super().__init__(model, criterion, settings)
        self.critic, self.features, self.alone_iters, self.ramp_iters = critic, features, alone_iters, ramp_iters
        self.lr_factor = LR_FACTOR if critic_lr is None else critic_lr / settings.lr
        self.optimizer = make_adam(model, settings, **BETAS)
        self.critic_optimizer = make_adam(critic, settings, **BETAS)
        self.networks = {"model": model, "critic": critic}
        self.others = {"critic": (critic, self.critic_optimizer)}
        self.full_weights, self.done = dict(weights), 0

    @property
    def weights(self) -> dict[str, float]:
        risen = min(1.0, max(0.0, (self.done - self.alone_iters) / max(1, self.ramp_iters)))
        return {
            **self.criterion.weights,
            "adversarial": risen * self.full_weights["adversarial"],
            "matching": self.full_weights["matching"],
        }

    @property
    def terms(self) -> tuple[str, ...]:
        return (*self.weights, "critic")

    def schedule(self, done: int) -> None:
        super().schedule(done)
        self.critic_optimizer.set_lr(self.lr_factor * self.settings.lr_at(done))
        self.done = done

    def step(self, batches: Sequence[Batch]) -> dict[str, paddle.Tensor]:
        logged = update(self.critic, self.critic_optimizer, self._critic_loss, batches)
        with frozen(self.critic):
            if self.done >= self.alone_iters:
                return super().step(batches) | logged
            with paddle.no_grad():  # for the log
                return mean_terms([self._loss(*batch)[1] for batch in batches]) | logged

    def _critic_loss(self, gt: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, dict[str, paddle.Tensor]]:
        with paddle.no_grad(), self.mixed_precision():
            comp = composite(self.model(gt * mask.expand_as(gt), mask).astype("float32"), gt, mask)
            real, fake = self.features(gt), self.features(comp)
        with self.mixed_precision():
            logits = self.critic(gt, real, 1 - mask), self.critic(comp, fake, 1 - mask)
        loss = critic_loss(*logits, 1 - mask)
        return loss, {"critic": loss}

    def _terms(self, output: paddle.Tensor, gt: paddle.Tensor, mask: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return super()._terms(output, gt, mask) | self._critic_terms(output, gt, mask)

    def _critic_terms(self, output: paddle.Tensor, gt: paddle.Tensor, mask: paddle.Tensor) -> dict[str, paddle.Tensor]:
        comp, hole = composite(output.astype("float32"), gt, mask), 1 - mask
        fake = self.features(comp)
        with paddle.no_grad():
            real = self.features(gt)
        return {
            "adversarial": generator_score(self.critic(comp, fake, hole), hole),
            "matching": feature_matching(*([t.astype("float32") for t in taps] for taps in (real, fake)), hole),
        }


class DeepFillCriticTask(CriticTask):
    """``deepfill_v1`` against ``critic`` in place of its two Wasserstein critics; of ``criterion`` the L1 terms.

    The L1 terms are of both stages, the critic's of the refined picture.
    """

    model: DeepFillV1
    criterion: GeneratorLoss

    @property
    def weights(self) -> dict[str, float]:
        terms = (*RECONSTRUCTION, "adversarial", "matching")
        return {name: weight for name, weight in super().weights.items() if name in terms}

    def _loss(self, gt: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, dict[str, paddle.Tensor]]:
        discount = discount_map(mask, self.criterion.gamma)
        stages = self.model(gt * mask.expand_as(gt), mask, stages=True)
        terms = self.criterion.reconstruction(stages.coarse, stages.refined, gt, mask, discount)
        terms |= self._critic_terms(stages.refined, gt, mask)
        weights = self.weights
        return sum(weights[name] * term for name, term in terms.items()), terms
