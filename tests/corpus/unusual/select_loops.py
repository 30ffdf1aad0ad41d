# Ein Ereignis nach dem anderen, in schlichten Schleifen: langsam, aber leicht zu prüfen.
from math import cos, cosh, sqrt

import pandas as pd
import uproot

MEV = 0.001
zeilen = []
gelesen = 0
schwelle_1, schwelle_2 = snakemake.params.min_pt
for datei in snakemake.input.ntuples:
    with uproot.open(datei) as f:
        baum = f["mini"].arrays(
            [
                "eventNumber", "mcWeight", "scaleFactor_PHOTON", "scaleFactor_PILEUP", "trigP", "photon_pt", "photon_eta",
                "photon_phi", "photon_isTightID", "photon_ptcone30", "photon_etcone20",
            ]
        ).to_list()
    for e in baum:
        gelesen += 1
        if not e["trigP"]:
            continue
        gute = []
        for pt, eta, phi, fest, spur, kalo in zip(
            e["photon_pt"], e["photon_eta"], e["photon_phi"], e["photon_isTightID"], e["photon_ptcone30"], e["photon_etcone20"],
        ):
            if not fest or abs(eta) >= 2.37 or 1.37 <= abs(eta) <= 1.52:
                continue
            # Isolation, relativ zum Transversalimpuls
            if spur / pt >= 0.065 or kalo / pt >= 0.065:
                continue
            gute.append((pt * MEV, eta, phi))
        if len(gute) < 2:
            continue
        gute.sort(reverse=True)
        (pt1, eta1, phi1), (pt2, eta2, phi2) = gute[:2]
        if pt1 <= schwelle_1 or pt2 <= schwelle_2:
            continue
        masse = sqrt(2 * pt1 * pt2 * (cosh(eta1 - eta2) - cos(phi1 - phi2)))
        if not 105 < masse < 160:
            continue
        gewicht = e["mcWeight"] * e["scaleFactor_PHOTON"] * e["scaleFactor_PILEUP"]
        zeilen.append((e["eventNumber"], gewicht, masse, pt1, pt2, eta1, eta2, phi1, phi2))

tabelle = pd.DataFrame(zeilen, columns="event_number weight m_yy pt1 pt2 eta1 eta2 phi1 phi2".split())
tabelle.astype({"event_number": "uint64"}).to_parquet(snakemake.output.events, index=False)
print(f"{snakemake.wildcards.sample}: {gelesen} Ereignisse gelesen, {len(tabelle)} ausgewählt")
