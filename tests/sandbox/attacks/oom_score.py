"""Have the kernel kill others first when memory runs out."""

from kit import WORLD, blocked, escaped

reasons = []
for path, value in ((f"/proc/{WORLD['victim']}/oom_score_adj", "0"), ("/proc/self/oom_score_adj", "-500")):
    try:
        with open(path, "w") as handle:
            handle.write(value)
    except OSError as error:
        reasons.append(str(error))
        continue
    escaped(path)
blocked(reasons)
