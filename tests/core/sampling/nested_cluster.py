"""A Dask cluster of two processes: prints its address, then the process ids of the workers.

It lives until its standard input ends.
"""

import os
import sys

import dask
from distributed import Client, LocalCluster

if __name__ == "__main__":
    dask.config.set({"distributed.worker.daemon": True})
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        ids = client.run(os.getpid).values()
        sys.stdout.write(f"{cluster.scheduler_address} {' '.join(map(str, ids))}\n")
        sys.stdout.flush()
        sys.stdin.read()
