# Histograma a mano: np.add.at y la serialización de UHI escrita como diccionario.
import json

import numpy as np
import pyarrow.parquet as pq

N, BAJO, ALTO = 55, 105.0, 160.0  # GeV

suma = np.zeros(N + 2)
cuadrados = np.zeros(N + 2)
for archivo in snakemake.input.samples:
    t = pq.read_table(archivo, columns=["m_yy", "weight"]).to_pandas()
    # índice 0: por debajo del rango; N + 1: por encima
    indice = np.clip(np.floor((t.m_yy.to_numpy() - BAJO) / (ALTO - BAJO) * N).astype(int) + 1, 0, N + 1)
    peso = t.weight.to_numpy()
    np.add.at(suma, indice, peso)
    np.add.at(cuadrados, indice, peso * peso)
    print(archivo, len(t), peso.sum())

documento = {
    "uhi_schema": 1,
    "axes": [
        {
            "type": "regular", "lower": BAJO, "upper": ALTO, "bins": N, "underflow": True, "overflow": True,
            "circular": False, "metadata": {"label": "m_yy [GeV]", "name": "m_yy"},
        }
    ],
    "storage": {"type": "weighted", "values": suma.tolist(), "variances": cuadrados.tolist()},
    "metadata": {},
}
with open(snakemake.output.histogram, "w") as salida:
    json.dump(documento, salida)
print("total", suma.sum(), "+-", np.sqrt(cuadrados.sum()))
