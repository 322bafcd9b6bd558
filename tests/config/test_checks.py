import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError


@pytest.mark.parametrize(
    "argv",
    [["--plan.epochs", "many"], ["--data.sampler", "best"], ["--augment.flip", "1.5"], ["--data.batch", "0"], ["--schedule.drops", "[0.5, 2]"],
     ["--data.sampler", "identity", "--data.batch", "30"], ["--data.train_per_class", "0"], ["--data.holdout_per_class", "-1"], ["--data.crop", "centre"]],
)  # fmt: skip
def test_values_that_no_run_can_have(argv):
    with pytest.raises(UserError) as caught:
        configuration.parse(Config, argv)
    assert "\n" not in str(caught.value)
