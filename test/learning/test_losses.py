"""The training losses against plain loops, and the hypotheses against their promises."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xview_localizer.geometry.evidence import Evidence  # noqa: E402
from xview_localizer.geometry.grid import RasterGrid  # noqa: E402
from xview_localizer.geometry.match_field import MatchField  # noqa: E402
from xview_localizer.learning import losses  # noqa: E402


def random_matches(n: int, size: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    ground = torch.nn.functional.normalize(torch.randn(n, 16, generator=generator), dim=1)
    aerial = torch.nn.functional.normalize(torch.randn(16, size, size, generator=generator), dim=0)
    dustbin = torch.randn(n, generator=generator) + 5
    return losses.match(ground[None], aerial[None], dustbin[None], torch.tensor(8.0)), dustbin[None]


def test_match_is_a_softmax_with_a_dustbin():
    matches, dustbin = random_matches(5, 7)
    for n in range(5):
        exponentials = np.exp(matches.logits[0, n].numpy())
        np.testing.assert_allclose(
            matches.probability[0, n].numpy().ravel(), exponentials / exponentials.sum(), rtol=1e-4
        )
        expected = exponentials.sum() / (exponentials.sum() + math.exp(dustbin[0, n]))
        assert matches.inlier_probability[0, n].item() == pytest.approx(expected, rel=1e-4)


def test_pose_scores_are_the_solver_s():
    """Training must score poses as the dense solver does."""
    matches, _ = random_matches(40, 20)
    xy_m = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) * 8 - 4
    poses = torch.tensor([[0.5, -1.0, 0.3], [2.0, 1.0, -2.0], [0.0, 0.0, 0.0]])
    got = losses.pose_scores(matches, xy_m[None], poses[None], half_extent_m=12.0)[0].sum(0)
    field = MatchField.of_one_image(
        xy_m.numpy().astype(np.float64),
        (400 * torch.softmax(matches.logits[0], dim=1)).numpy(),
        matches.inlier_probability[0].numpy(),
        RasterGrid.centred(0.0, 0.0, 1.2, 20, 20),
    )
    evidence = Evidence.from_field(field, np.ones(40, bool))
    a = np.exp(1j * poses[:, 2].numpy().astype(np.float64))
    t = poses[:, 0].numpy() + 1j * poses[:, 1].numpy()
    np.testing.assert_allclose(got.numpy(), evidence.score(a, t), atol=0.15)


def test_pose_loss_prefers_the_truth():
    evidence = torch.tensor([[5.0, 1.0, -1.0]])
    everything = torch.ones(1, 3, dtype=torch.bool)
    right = losses.pose_loss(evidence, everything)
    assert right < losses.pose_loss(evidence[:, [1, 0, 2]], everything)
    without_rival = losses.pose_loss(evidence, torch.tensor([[True, False, True]]))
    assert without_rival.item() == pytest.approx(math.log(1 + math.exp(-6.0)), rel=1e-4)


def test_hypotheses_start_with_the_truth_and_stay_away_from_it():
    truth = torch.tensor([3.0, -4.0, 1.0])
    drawn = losses.sample_pose_hypotheses(truth[None], 20.0, torch.Generator().manual_seed(1))
    poses = drawn.poses[0][drawn.allowed[0]]
    torch.testing.assert_close(poses[0], truth)
    others = poses[1:]
    apart = ((others[:, :2] - truth[:2]).norm(dim=1) > 0.5) | (torch.cos(others[:, 2] - truth[2]) < 0.99)
    assert len(poses) > 120 and apart.all()
    assert (others[:, :2] - truth[:2]).norm(dim=1).max() <= 40.0 + 1e-3


def test_info_nce_falls_when_matches_are_right():
    size, half_extent_m = 12, 7.2
    aerial = torch.nn.functional.normalize(
        torch.randn(16, size, size, generator=torch.Generator().manual_seed(2)), dim=0
    )
    grid = RasterGrid.centred(0.0, 0.0, 1.2, size, size)
    cells = torch.tensor([5, 40, 77, 130])
    true_xy_m = torch.from_numpy(grid.cell_centres_xy_m[cells.numpy()]).float()
    dustbin, everything = torch.full((1, 4), 3.0), torch.ones(1, 4, dtype=torch.bool)

    def loss(ground: torch.Tensor, taking_part: torch.Tensor = everything) -> float:
        matches = losses.match(ground[None], aerial[None], dustbin, torch.tensor(10.0))
        return losses.info_nce(
            matches, dustbin, true_xy_m[None], everything, taking_part, half_extent_m
        ).item()

    right = aerial.flatten(1).T[cells]
    assert loss(right) < 0.5 * loss(right.roll(1, 0))
    broken = torch.cat([right[:3], -right[3:]])
    first_three = torch.tensor([[True, True, True, False]])
    assert loss(broken, first_three) < 0.5 * loss(broken)


def test_depth_loss_ignores_unknown_cells():
    predicted, truth = torch.tensor([1.0, 5.0]), torch.tensor([1.5, 0.0])
    assert losses.depth_loss(predicted, truth, torch.tensor([1.0, 0.0])).item() == pytest.approx(0.5)


def hypotheses(poses: torch.Tensor) -> losses.Hypotheses:
    return losses.Hypotheses(poses[None], torch.ones(1, len(poses), dtype=torch.bool))


def hardest(matches, xy_m, poses, count, generator):
    """The poses [K, 3] that `keep_hardest` keeps and allows for one image, all of whose cells take part."""
    everything = torch.ones(1, len(xy_m), dtype=torch.bool)
    kept = losses.keep_hardest(matches, xy_m[None], everything, hypotheses(poses), 12.0, count, generator)
    return kept.poses[0][kept.allowed[0]]


def scored(matches, xy_m, poses):
    return losses.pose_scores(matches, xy_m[None], poses[None], half_extent_m=12.0)[0].sum(0)


def test_the_hardest_hypotheses_are_kept_behind_the_truth():
    matches, _ = random_matches(64, 20)
    generator = torch.Generator().manual_seed(1)
    xy_m = torch.rand(64, 2, generator=generator) * 8 - 4
    poses = torch.cat([torch.zeros(1, 3), torch.rand(200, 3, generator=generator) * 6 - 3])
    kept = hardest(matches, xy_m, poses, 50, generator)
    assert torch.equal(kept[0], poses[0]) and len(kept) == 51
    scores = scored(matches, xy_m, poses)
    hard = scored(matches, xy_m, kept)
    assert hard[1:].mean() > scores[1:].mean() + scores[1:].std() / 2


def test_a_rival_between_the_drawn_hypotheses_is_found():
    """Every cell matches where a second pose puts it; no drawn hypothesis is nearer to it than a metre."""
    rival = torch.tensor([5.0, 3.0, 2.0])
    xy_m = torch.rand(64, 2, generator=torch.Generator().manual_seed(2)) * 8 - 4
    at_rival = losses.to_grid_sample(losses.transform(xy_m[None], rival[None, None])[0, :, 0], 12.0)
    column, row = ((at_rival + 1) / 2 * 20).long().T
    logits = torch.zeros(1, 64, 20, 20)
    logits[0, torch.arange(64), row, column] = 5.0
    probability = logits.flatten(2).softmax(2).reshape(1, 64, 20, 20)
    matches = losses.MatchProbabilities(logits.flatten(2), probability, torch.full((1, 64), 0.9))

    poses = torch.tensor([[0.0, 0.0, 0.0], [4.0, 3.0, 2.0], [5.0, 4.1, 2.1], [-5.0, 3.0, 1.0]])
    kept = hardest(matches, xy_m, poses, 30, torch.Generator().manual_seed(3))
    off_m = (kept[1:, :2] - rival[:2]).norm(dim=1)
    assert off_m.min() < 0.5
    scores = scored(matches, xy_m, torch.cat([poses[1:], kept[1:]]))
    assert scores[3:].max() > scores[:3].max()


def test_a_peak_at_the_truth_is_no_rival():
    matches, _ = random_matches(64, 20)
    xy_m = torch.rand(64, 2, generator=torch.Generator().manual_seed(4)) * 8 - 4
    poses = torch.tensor([[0.0, 0.0, 0.0], [0.7, 0.0, 0.0]])
    kept = hardest(matches, xy_m, poses, 500, torch.Generator().manual_seed(5))[1:]
    near = (kept[:, :2].norm(dim=1) < losses.RIVAL_APART_M - 1e-6) & (torch.cos(kept[:, 2]) > 0.9901)
    assert torch.equal(kept[near], poses[1:])


def test_hypotheses_that_are_not_allowed_are_not_kept():
    matches, _ = random_matches(64, 20)
    xy_m = torch.rand(64, 2, generator=torch.Generator().manual_seed(6)) * 8 - 4
    poses = torch.tensor([[[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 4.0, 2.0]]])
    allowed = torch.tensor([[True, False, True]])
    kept = losses.keep_hardest(
        matches, xy_m[None], torch.ones(1, 64, dtype=torch.bool), losses.Hypotheses(poses, allowed), 12.0, 500,
        torch.Generator().manual_seed(7),
    )  # fmt: skip
    assert not any(torch.equal(pose, poses[0, 1]) for pose in kept.poses[0][kept.allowed[0]])


def test_a_batch_scores_as_its_images_alone():
    """Two images scored together are scored as each alone."""
    (one, _), (two, _) = random_matches(8, 20, seed=1), random_matches(8, 20, seed=2)
    both = losses.MatchProbabilities(
        *(
            torch.cat([getattr(m, name) for m in (one, two)])
            for name in ("logits", "probability", "inlier_probability")
        )
    )
    generator = torch.Generator().manual_seed(8)
    xy_m, poses = torch.rand(2, 8, 2, generator=generator) * 8, torch.rand(2, 5, 3, generator=generator) * 4
    together = losses.pose_scores(both, xy_m, poses, 12.0)
    for b, alone in enumerate((one, two)):
        torch.testing.assert_close(
            together[b], losses.pose_scores(alone, xy_m[b : b + 1], poses[b : b + 1], 12.0)[0]
        )
