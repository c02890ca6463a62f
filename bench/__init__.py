"""Numbers: what Headrace costs and gains, each figure beside a baseline measured in the same call.

Words: workload (what viewers do), trace (the requests that come of it), replay (a trace through an order of eviction),
part (eviction, store, collapse: one kind of measurement), report (a part's figures and ratios), ratio (a cost over its
baseline's: less is better), record (a line a report in results/). May import everything below edge and shield; a node
is measured as it runs, as a process. Start at report, then at eviction, store or
collapse; the command line is headrace.bench.
"""
