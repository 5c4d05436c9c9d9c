"""The pictures: plotly figures and SVG drawings, on one theme."""
