from avigrid.common.models.heartbeat import Heartbeat
from avigrid.common.models.lease import Lease

__all__ = ["Heartbeat", "Lease"]
