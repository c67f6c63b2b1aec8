"""What Glance knows by name."""

from reconcilers.finders import Finder, register_finders

register_finders({"glance.image": Finder("image", "/images", "images")})
