"""Facebook, offline: pages, people and messages served as the Graph API and sent as webhooks.

It is a reading of Facebook of its own and imports nothing of what it tests.
"""

from deploy.simulator.config import Config, Modes
from deploy.simulator.faults import Fault
from deploy.simulator.simulator import Simulator

__all__ = ["Config", "Fault", "Modes", "Simulator"]
