"""The rules of SDC2's score once more, row by row in plain Python with astropy, and random catalogues."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.cosmology import LambdaCDM

from skadetect.catalog.sdc2 import SDC2_COLUMNS

REST = 1.420405752e9
COSMOLOGY = LambdaCDM(H0=67.0, Om0=0.32, Ode0=0.68)


def random_tables(seed, n=60, *, spread=0.02, band=(0.951e9, 1.149e9)):
    """Truth so crowded that rows compete, and a submission with all that can be wrong."""
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame(
        {
            "id": rng.permutation(5 * n)[:n],
            "ra": 180.0 + rng.uniform(-spread, spread, n),
            "dec": -30.0 + rng.uniform(-spread, spread, n),
            "hi_size": 10 ** rng.uniform(0.1, 1.6, n),
            "line_flux_integral": 10 ** rng.uniform(0.2, 2.5, n),
            "central_freq": rng.uniform(*band, n),
            "pa": rng.uniform(0.0, 360.0, n),
            "i": rng.uniform(0.0, 90.0, n),
            "w20": 10 ** rng.uniform(1.6, 2.9, n),
        }
    )
    # close pairs: of one frequency and place, within the errors
    twins = truth.sample(n // 3, random_state=seed).assign(id=lambda t: t["id"] + 5 * n)
    twins["central_freq"] += rng.normal(0.0, 2e5, len(twins))
    truth = pd.concat([truth, twins], ignore_index=True)
    sub = truth.sample(int(1.5 * len(truth)), replace=True, random_state=seed).reset_index(drop=True)
    m = len(sub)
    sub["ra"] += rng.normal(0.0, 3.0 / 3600.0, m)
    sub["dec"] += rng.normal(0.0, 3.0 / 3600.0, m)
    sub["central_freq"] += rng.normal(0.0, 2e5, m)
    for name in ("hi_size", "line_flux_integral", "w20"):
        sub[name] *= np.exp(rng.normal(0.0, 0.5, m))
    sub["line_flux_integral"] *= np.where(rng.random(m) < 0.1, 9.0, 1.0)  # bad matches
    sub["pa"] = (sub["pa"] + rng.normal(0.0, 20.0, m)) % 360.0
    sub["i"] += rng.normal(0.0, 12.0, m)
    sub["dec"] += np.where(rng.random(m) < 0.1, 0.5, 0.0)  # false rows
    sub.loc[rng.random(m) < 0.05, "central_freq"] = 1.2e9  # and some out of the band
    sub["id"] = np.where(rng.random(m) < 0.1, 7, np.arange(m))  # ids not unique
    return truth[list(SDC2_COLUMNS)], sub[list(SDC2_COLUMNS)]


def slow_score(sub, truth, *, band=(0.95e9, 1.15e9), centre=(180.0, -30.0), beam=7.0):
    """Score, counts and attribute means by the written rules, a pair at a time."""
    n_det = len(sub)
    rows, truths = (_prepared(table, band, centre, beam) for table in (sub, truth))
    best = {}
    for row in rows:
        for true in truths:
            distance = _distance(row, true)
            old = best.get(row["id"])
            if distance is not None and (old is None or distance < old[0]):
                best[row["id"]] = (distance, row, true)
    sharing = {}
    for _, _, true in best.values():
        sharing[true["id"]] = sharing.get(true["id"], 0) + 1
    accepted = [one for one in best.values() if one[0] < 5.0]
    scores = [_scores(row, true, beam) for _, row, true in accepted]
    total = sum(sum(s) / 7.0 / sharing[one[2]["id"]] for s, one in zip(scores, accepted))
    n_match = len(accepted)
    return {
        "score": total - (n_det - n_match),
        "n_det": n_det,
        "n_match": n_match,
        "n_bad": len(best) - n_match,
        "n_duplicates": sum(count - 1 for count in sharing.values()),
        "means": [sum(column) / n_match for column in zip(*scores)] if n_match else [0.0] * 7,
    }


def _prepared(table, band, centre, beam):
    rows = []
    for row in table.to_dict("records"):
        if band is not None and not band[0] < row["central_freq"] < band[1]:
            continue
        frequency = row["central_freq"]
        width = row["w20"] * 1000.0 * frequency**2 / (299792458.0 * REST)
        sky = SkyCoord(row["ra"] * u.deg, row["dec"] * u.deg, frame="fk5")
        offsets = SkyCoord(*(np.array(centre) * u.deg), frame="fk5").spherical_offsets_to(sky)
        distance = _megaparsec(frequency)
        size = math.sqrt(row["hi_size"] ** 2 + beam**2)
        place = np.array([distance * offsets[0].rad, distance * offsets[1].rad, distance])
        reach = max(size / 206265.0 * distance, distance - _megaparsec(frequency + width))
        rows.append({**row, "sky": sky, "place": place, "reach": reach, "size": size, "width": width})
    return rows


def _megaparsec(frequency):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy warns of redshifts below zero
        return float(COSMOLOGY.angular_diameter_distance(REST / frequency - 1.0).value)


def _distance(row, true):
    """Distance of a pair, None where it is no candidate."""
    shift = abs(row["central_freq"] - true["central_freq"]) / true["width"]
    if not (shift < 1 and np.linalg.norm(row["place"] - true["place"]) <= row["reach"]):
        return None
    position = row["sky"].separation(true["sky"]).arcsec / true["size"]
    if not position < 1:
        return None
    flux = (row["line_flux_integral"] - true["line_flux_integral"]) / true["line_flux_integral"]
    size = (row["hi_size"] - true["hi_size"]) / true["size"]
    width = (row["w20"] - true["w20"]) / true["w20"]
    return math.sqrt(position**2 + shift**2 + flux**2 + size**2 + width**2)


def _scores(row, true, beam):
    apart = row["sky"].separation(true["sky"]).arcsec
    turn = abs(row["pa"] - true["pa"]) % 360.0
    errors = (
        apart / math.sqrt(4.0 * beam**2 + true["hi_size"] ** 2) / 0.3,
        abs(row["central_freq"] - true["central_freq"]) / true["width"] / 0.3,
        abs(row["line_flux_integral"] / true["line_flux_integral"] - 1.0) / 0.1,
        abs(row["hi_size"] / true["hi_size"] - 1.0) / 0.3,
        min(turn, 360.0 - turn) / 10.0,
        abs(row["w20"] / true["w20"] - 1.0) / 0.3,
        abs(row["i"] - true["i"]) / 10.0,
    )
    return [min(1.0, 1.0 / error) if error else 1.0 for error in errors]
