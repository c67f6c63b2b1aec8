"""Barbican's API as a WSGI application that uWSGI can load by a module's name."""

import sys
from pathlib import Path

from paste import deploy

application = deploy.loadapp(f"config:{Path(sys.prefix, 'etc/barbican/barbican-api-paste.ini')}")
