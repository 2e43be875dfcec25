import copy

import pytest

from cloning.engine.acoustic import dit_fast, fast
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import tiny
from cloning.engine.errors import EngineError
from cloning.engine.processor import check_bfloat16, check_int8, has_bfloat16, has_int8
from tests.cloning.engine.acoustic.tiny_diffusion import model


def test_what_the_processor_has_not_is_refused_by_name() -> None:
    for check, has in ((check_bfloat16, has_bfloat16()), (check_int8, has_int8())):
        if has:
            check()
        else:
            with pytest.raises(EngineError, match="unsupported_precision"):
                check()


def test_models_are_prepared_in_it_or_left_as_they_were() -> None:
    config = tiny()
    voice = AcousticModel(config.acoustic, config.audio)
    names = sorted(voice.state_dict())
    if has_int8():
        fast.prepare(voice, "int8")
    else:
        with pytest.raises(EngineError, match="unsupported_precision"):
            fast.prepare(voice, "int8")
        assert sorted(voice.state_dict()) == names
    transformer = copy.deepcopy(model().cfm.estimator)
    names = sorted(transformer.state_dict())
    if has_bfloat16():
        dit_fast.prepare(transformer, "bfloat16")
    else:
        with pytest.raises(EngineError, match="unsupported_precision"):
            dit_fast.prepare(transformer, "bfloat16")
        assert sorted(transformer.state_dict()) == names
