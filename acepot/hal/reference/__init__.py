"""What labels structures: calculators of ASE in processes of their own, files, or Dask."""
