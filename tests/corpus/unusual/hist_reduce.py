import json, operator, functools
import hist, uhi.io.json, pyarrow.parquet as pq

# one expression: read, fill, add
total = functools.reduce(
    operator.add,
    (
        hist.Hist.new.Reg(55, 105, 160, name="m_yy", label="m_yy [GeV]").Weight().fill(t["m_yy"], weight=t["weight"])
        for t in (pq.read_table(f, columns=["m_yy", "weight"]) for f in snakemake.input.samples)
    ),
)
open(snakemake.output.histogram, "w").write(json.dumps(total, default=uhi.io.json.default))
print(total)
