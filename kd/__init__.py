"""How a student learns: data, views, teachers, training, export. Imports only `space`."""
