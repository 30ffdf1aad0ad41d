"""Samples of ATLAS Open Data: their luminosities, cross sections, processes, and the weight of a simulated event."""

import re
from collections.abc import Iterable
from typing import Any

from wrappers.common.job import WrongInput

LUMINOSITY = {"2020": 10064.0, "2025": 36100.0}
"""Of all data of a release [1/pb], as the official analyses of 2020 and notebooks of 2025 have it (others: 36000)."""

PUBLISHED_2020 = {
    343981: (0.102, 55922617.6297),
    345041: (0.008518764, 3441426.13711),
    345318: (0.0019654512, 213799.958463),
    345319: (0.0017347836, 358401.082034),
    341081: (0.0000026433864, 485440.0),
}
"""Cross section times branching ratio [pb] and sum of weights by DSID, as published with the 2020 release."""

HIGGS_TO_DIPHOTON = 0.00227
"""The branching ratio that the cross sections of both releases contain."""

PROCESSES: dict[str, dict[str, list[list[int]]]] = {
    "2020": {
        "ggH": [[343981]],
        "VBF": [[345041]],
        "WH": [[345318]],
        "ZH": [[345319]],
        "ttH": [[341081]],
    },
    "2025": {
        "ggH": [[343981], [346797]],
        "VBF": [[346214], [506811]],
        "WH": [[345317, 345318], [500554]],
        "ZH": [[345319], [500553, 506813]],
        "ggZH": [[345061], [500555, 506814]],
        "ttH": [[346525], [346526], [346601]],
        "tWH": [[346486]],
        "tHjb": [[346602]],
        "diphoton": [list(range(302520, 302535))],
        "photon+jet": [list(range(423099, 423113))],
        "triphoton": [[700007]],
    },
}
"""DSIDs by release and process. The lists of a process are alternatives (other generators): one of them may be used."""


def luminosity(value: Any) -> float:
    """Return a luminosity in 1/pb from a number (1/pb) or text with a unit: "10.064 /fb", "36.1 fb-1", "10064 1/pb".

    Raises:
        WrongInput: if it is neither, or not above zero.
    """
    text = str(value).strip()
    parts = re.fullmatch(r"([0-9.eE+-]+?)\s*(?:(?:1?\s*/\s*)([pf])b|([pf])b\s*(?:\^?-1|⁻¹))?", text)
    try:
        number = float(parts[1]) if parts and not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    if not parts or not 0 < number < float("inf"):
        raise WrongInput(f'params: luminosity={value!r} is neither a number in 1/pb nor text such as "10.064 /fb"')
    return number * (1000.0 if "f" in (parts[2], parts[3]) else 1.0)


def luminosity_weight(cross_section: float, sum_of_weights: float, luminosity_per_pb: float) -> float:
    """Return what an event of generator weight 1 stands for: L sigma / sum of the weights of all *generated* events.

    Dividing by the sum over selected events instead would take the acceptance for 1.

    Args:
        cross_section: of the sample, with branching ratio, filter efficiency and k-factor [pb].
        sum_of_weights: signed weights of all generated events, before any selection.
        luminosity_per_pb: integrated luminosity [1/pb].
    """
    return luminosity_per_pb * cross_section / sum_of_weights


def corrected_cross_section(release: str, dsid: int, cross_section: float) -> tuple[float, str]:
    """Return a cross section [pb] without the known error of the 2020 release, and a sentence if it was corrected.

    The published one of ttH (DSID 341081) contains the branching ratio twice, 2.643e-6 pb = 0.513 pb x 0.00227^2:
    yields would be 440 times too low.
    """
    wrong = PUBLISHED_2020[341081][0]
    if release != "2020" or dsid != 341081 or abs(cross_section / wrong - 1) > 1e-3:
        return cross_section, ""
    right = cross_section / HIGGS_TO_DIPHOTON
    return right, (
        f"ttH (DSID 341081): the published cross section, {cross_section:.4g} pb, contains the branching ratio "
        f"{HIGGS_TO_DIPHOTON} twice; {right:.4g} pb is used"
    )


def process_of(release: str, dsid: int) -> str | None:
    """Return the process of an official sample, such as ggH; None for others."""
    for process, alternatives in PROCESSES.get(release, {}).items():
        if any(dsid in alternative for alternative in alternatives):
            return process
    return None


def overlapping(release: str, dsids: Iterable[int]) -> list[str]:
    """Return a sentence for each process that several generators among the DSIDs have: added up, it counts twice."""
    present = set(dsids)
    problems = []
    for process, alternatives in PROCESSES.get(release, {}).items():
        given = [sorted(present & set(alternative)) for alternative in alternatives if present & set(alternative)]
        if len(given) > 1:
            names = " and ".join("+".join(map(str, one)) for one in given)
            problems.append(f"{process}: DSIDs {names} are the same process from different generators")
    return problems


def remarks(release: str, dsids: Iterable[int]) -> list[str]:
    """Return what is to be known about some samples, and cannot be corrected."""
    if release == "2020" and 345318 in set(dsids):
        return ["WH (DSID 345318): the 2020 release has W+H only; W-H is missing, which is about 40 % of WH"]
    return []
