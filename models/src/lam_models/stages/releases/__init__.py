"""Released weights: read safely (files.py), recognised (layouts.py), renamed (networks.py)."""
