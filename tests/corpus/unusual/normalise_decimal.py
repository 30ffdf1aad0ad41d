# Normierung eines simulierten Datensatzes; Faktoren werden dezimal gerechnet, damit nichts gerundet wird.
import json
from decimal import Decimal
from math import fsum, sqrt

import pyarrow as pa
import pyarrow.parquet as pq
import uproot

name = snakemake.wildcards["sample"]
with open(snakemake.input["samples"]) as datei:
    angaben = json.load(datei, parse_float=Decimal)[name]

luminositaet = Decimal(str(snakemake.params["luminosity_fb"])) * 1000  # 1/pb
wirkungsquerschnitt = angaben["xsec_pb"] * angaben["k_factor"] * angaben["filter_efficiency"]  # pb, mit Verzweigungsverhältnis
faktor = float(luminositaet * wirkungsquerschnitt / angaben["sum_of_weights"])

baum = uproot.open(snakemake.input["events"])["mini"].arrays(library="np")
gewicht = faktor * baum["mcWeight"].astype("f8") * baum["scaleFactor_PHOTON"] * baum["scaleFactor_PILEUP"]
pq.write_table(
    pa.table({"event_number": baum["eventNumber"], "m_yy": baum["m_yy"].astype("f8") / 1000, "weight": gewicht}),
    snakemake.output["events"],
)
ertrag = {"n_events": len(gewicht), "yield": fsum(gewicht), "yield_error": sqrt(fsum(w * w for w in gewicht))}
with open(snakemake.output["yields"], "w") as datei:
    json.dump(ertrag, datei)
print(f"{name}: Faktor {faktor:.6g}, Ertrag {ertrag['yield']:.3f} +- {ertrag['yield_error']:.3f}")
