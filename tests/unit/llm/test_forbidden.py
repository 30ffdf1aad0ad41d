from __future__ import annotations

import pytest

from snakemake_executor_plugin_llmagent.errors import NotApproved
from snakemake_executor_plugin_llmagent.llm.forbidden import Forbidden
from snakemake_executor_plugin_llmagent.protocols import Model
from tests.unit.llm.support import request


def test_it_never_answers() -> None:
    model: Model = Forbidden("run `llmagent approve fit`.")
    with pytest.raises(NotApproved, match=r"supervisor was about to be\): run `llmagent approve fit`\."):
        model.complete(request(role="supervisor"))
