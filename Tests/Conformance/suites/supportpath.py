"""Importing this puts the modules that suites share on the import path, so that each suite also runs by itself."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
