"""Reports on a study: figures, pages, tables, the dashboard. Imports `space`, `kd` and `studies`."""
