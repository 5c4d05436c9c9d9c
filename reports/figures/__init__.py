"""Figures: plotly objects and SVG, on one theme. Nothing that these modules import may import them."""
