"""How a study is told: figures, pages, tables, the dashboard. Imports `space`, `kd` and `studies`."""
