"""A workflow with every kind of rule but agent rules."""

from __future__ import annotations

from tests.workflow.project import Project

SNAKEFILE = '''
import json
from pathlib import Path

configfile: "config.yaml"

include: "rules/more.smk"

module part:
    snakefile: "rules/part/Snakefile"
    prefix: "part"

use rule * from part as part_*

localrules: all

wildcard_constraints:
    kind="a|b"

rule all:
    default_target: True
    input:
        expand("out/shell_{kind}.txt", kind=["a", "b"]), "out/script.json", "out/bash.txt", "out/run.txt",
        "out/wrapped.txt", "out/piped.txt", "out/served.txt", "out/gathered.txt", "out/shadowed.txt",
        "out/retried.txt", "out/measured.txt", "out/cached.txt", "out/cached_run.txt", "out/joined.txt",
        "out/kept.txt", "out/folder", "out/full.txt", "out/flag.done", "out/included.txt", "part/out/part.txt",
        "out/late.txt", "out/inherited.txt", "out/second.txt"

rule shell:
    """A docstring."""
    input: lambda wildcards: f"in_{wildcards.kind}.txt"
    output: "out/shell_{kind}.txt"
    log: "logs/shell_{kind}.log"
    params: word=config["word"]
    message: "now {wildcards.kind}"
    shell:
        "(cat {input}; "
        "echo {params.word}) > {output} 2> {log}"

rule script:
    input: "out/shell_a.txt"
    output: "out/script.json"
    params: deep={"a": [1, None]}
    threads: 2
    resources: mem_mb=10, weird="w"
    script: "scripts/py.py"

rule bash:
    input: "in_a.txt"
    output: "out/bash.txt"
    script: "scripts/sh.sh"

rule run:
    input: "in_a.txt"
    output: "out/run.txt"
    run:
        text = Path(input[0]).read_text()
        Path(output[0]).write_text(text.upper())

rule wrapped:
    input: "in_a.txt"
    output: "out/wrapped.txt"
    wrapper: "file:wrappers/copy"

rule pipe:
    output: pipe("out/numbers.pipe")
    shell: "seq 5 > {output}"

rule piped:
    input: "out/numbers.pipe"
    output: "out/piped.txt"
    shell: "cat {input} > {output}"

rule serve:
    output: service("out/serve.file")
    shell: "echo served > {output}; sleep 1000"

rule served:
    input: "out/serve.file"
    output: "out/served.txt"
    shell: "for i in $(seq 100); do test -s {input} && break; sleep 0.1; done; cat {input} > {output}"

# After the job with retries: Snakemake 9.27 may lose a job that waits for its retry when a checkpoint ends.
checkpoint scatter:
    input: "in_b.txt", "out/retried.txt"
    output: directory("out/scattered")
    shell: "mkdir {output}; for x in $(cat {input[0]}); do echo $x > {output}/$x.txt; done"

def parts(wildcards):
    folder = checkpoints.scatter.get().output[0]
    return expand(folder + "/{part}.txt", part=sorted(glob_wildcards(folder + "/{part}.txt").part))

rule gathered:
    input: parts
    output: "out/gathered.txt"
    shell: "cat {input} > {output}"

rule shadowed:
    input: "in_a.txt"
    output: "out/shadowed.txt"
    shadow: "minimal"
    shell: "cat {input} > rubbish.txt; mv rubbish.txt {output}; touch more_rubbish.txt"

rule retried:
    output: "out/retried.txt"
    retries: 2
    resources: attempt=lambda wildcards, attempt: attempt
    shell: "test {resources.attempt} = 2 && echo {resources.attempt} > {output}"

rule measured:
    input: "in_a.txt"
    output: "out/measured.txt"
    benchmark: repeat("benchmarks/measured.tsv", 2)
    shell: "cp {input} {output}"

rule cached:
    input: "in_a.txt"
    output: "out/cached.txt"
    cache: True
    shell: "cp {input} {output}"

rule cached_run:
    input: "in_b.txt"
    output: "out/cached_run.txt"
    cache: True
    script: "scripts/sh.sh"

rule group_one:
    output: temp("out/one.txt")
    group: "g"
    shell: "echo 1 > {output}"

rule group_two:
    input: "out/one.txt"
    output: "out/joined.txt"
    group: "g"
    shell: "cat {input} > {output}"

rule kept:
    input: "in_a.txt"
    output: protected("out/kept.txt")
    shell: "cp {input} {output}"

rule folder:
    output: directory("out/folder")
    shell: "mkdir -p {output}/deep; echo 1 > {output}/deep/file"

rule full:
    output: ensure("out/full.txt", non_empty=True)
    priority: 10
    shell: "echo full > {output}"

rule flag:
    input: "out/full.txt"
    output: touch("out/flag.done")

rule late:
    input: a=ancient("in_a.txt"), more=expand("in_{k}.txt", k=["a", "b"])
    output: *multiext("out/late", ".txt", ".csv")
    shell: "cat {input.a} {input.more} | tee {output[0]} > {output[1]}"

use rule shell as inherited with:
    input: "in_b.txt"
    output: "out/inherited.txt"
    log: "logs/inherited.log"
    params: word="inherited"
    message: "inherited"

rule first:
    output: "out/{name}.txt"
    wildcard_constraints: name="second"
    shell: "echo first > {output}"

rule second:
    output: "out/second.txt"
    shell: "echo second > {output}"

ruleorder: second > first

onsuccess: print("all went well")
'''
FAILING = """
rule all:
    input: "good.txt", "bad.txt", "worse.txt"

rule good:
    output: "good.txt"
    shell: "echo good > {output}"

rule bad:
    output: "bad.txt"
    log: "bad.log"
    shell: "echo half > {output}; echo why > {log}; exit 3"

rule worse:
    output: "worse.txt"
    script: "worse.py"

onerror: print("something failed")
"""


def write(project: Project) -> None:
    """Write the workflow and everything it needs."""
    project.snakefile(SNAKEFILE)
    project.write("config.yaml", "word: configured\n")
    project.write("in_a.txt", "1\n2\n")
    project.write("in_b.txt", "x\ny\n")
    project.write(
        "rules/more.smk",
        """
        rule included:
            input: "in_a.txt"
            output: "out/included.txt"
            script: "scripts/sh.sh"
    """,
    )
    project.write(
        "rules/part/Snakefile",
        """
        rule part:
            output: "out/part.txt"
            shell: "echo part > {output}"
    """,
    )
    project.write(
        "scripts/py.py",
        """
        import json
        seen = {"params": snakemake.params.deep, "threads": snakemake.threads, "weird": snakemake.resources.weird,
                "keys": sorted(snakemake.params.keys()), "config": snakemake.config}
        json.dump(seen, open(snakemake.output[0], "w"))
    """,
    )
    copying = 'cat "${snakemake_input[0]}" > "${snakemake_output[0]}"\n'
    project.write("scripts/sh.sh", copying)
    project.write("rules/scripts/sh.sh", copying)
    project.write(
        "wrappers/copy/wrapper.py",
        """
        from snakemake.shell import shell
        shell("cp {snakemake.input} {snakemake.output}")
    """,
    )
    project.write("wrappers/copy/environment.yaml", "channels: [nodefaults]\ndependencies: [python]\n")
    project.snakefile(FAILING, "Failing")
    project.write("worse.py", "open(snakemake.output[0], 'w').write('half')\nraise ValueError('worse')\n")
