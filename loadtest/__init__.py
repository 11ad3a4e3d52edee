"""Load tests: the benchmark of docs/performance.md, the check that nothing was lost, people who post."""
