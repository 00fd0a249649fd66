"""One transaction whose branch in one resource stands where a test wants it, while something is killed."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable

from harness.backends import Backend, backends, writing_backends
from harness.bank import Vault
from harness.cluster import Cluster
from harness.obstacles import AccountRow, AnswerOfCommit, EndOfBranch, LineKey, MarkerKey, Obstacle
from harness.thrift_api import branch
from harness.waiting import eventually
from harness.workload import Order, Workload

# As servers say that somebody waits for somebody else: a row lock, a standby, FLUSH TABLES WITH READ LOCK.
_WAITING = ("lock", "SyncRep")
_OF_AGENT = re.compile(r"UPDATE (troth\.)?troth_owner")
_BESIDE = {"pg": "my", "my": "pg", "ma": "pg"}
# A branch that goes in one trip does not come here.
BETWEEN_STEPS = {"agent.after_marker", "agent.after_statement", "agent.after_statements"}
# Every transaction on accounts of its own, so that what one leaves behind holds up no other.
_accounts = itertools.cycle(range(1, 91))
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Wait:
    """Where a backend of the branch waits, and until which point the agent must have come before it is made to."""

    place: Callable[[Standing], Obstacle]
    after: str | None = None


class Standing:
    """
    standing = Standing(cluster, "my", phases=2)
    standing.stop_at("agent.after_marker")        # the agent stands still, the other branch has voted
    standing.backends()                           # the branch's
    ...
    standing.judge()
    """

    def __init__(self, cluster: Cluster, resource: str, phases: int, first: str | None = None) -> None:
        """`first`: a statement of the branch before the others."""
        self.cluster = cluster
        self.resource = resource
        self.phases = phases
        self.vault: Vault = cluster.bank.vaults[resource]
        self.role = cluster.role(resource)
        self.account = next(_accounts)
        self.name = f"standing-{resource}-{phases}-{next(_numbers)}"
        if phases == 2:
            branches = cluster.bank.transfer(
                self.name, resource, self.account, _BESIDE[resource], self.account, 1
            )
        else:
            branches = cluster.bank.shift(self.name, resource, self.account, self.account + 100, 1)
        if first is not None:
            branches[0].statements.insert(0, branch(resource, first).statements[0])
        self.order = Order(self.name, branches, may_commit=True)
        self.work = Workload(cluster, orders=[self.order])

    @property
    def told(self) -> str:
        return self.order.told

    def begin(self) -> None:
        """Of two branches this one gets its work when the other has voted."""
        if self.phases == 1:
            return self.work.begin()
        proxy = self.cluster.proxy
        voted = len(proxy.seen("prepare", kind="reply"))
        held = proxy.hold("prepare", times=1)
        self.work.begin()
        proxy.wait_seen("prepare", kind="reply", count=voted + 1)
        held.release()

    def stop_at(self, point: str, statement: int = 1) -> None:
        """The agent stands still when this branch comes to the point (at `agent.after_statement`: to that one's)."""
        self.cluster.keep_steps_apart(point in BETWEEN_STEPS)
        self.cluster.agent.arm(point, action="stop", hit=self._hit(point, statement))
        self.cluster.agent.restart()
        self.cluster.wait_serving()
        self.begin()
        eventually(self.cluster.agent.is_paused, f"the agent stands at {point}")

    def _hit(self, point: str, statement: int) -> int:
        if self.phases == 1:
            return statement
        if point == "agent.after_statement":
            return len(self.order.branches[1].statements) + statement
        # Commits go out together: whichever branch comes first.
        finishing = ("agent.after_commit", "agent.after_acknowledgement")
        return 1 if point.startswith(finishing) else 2

    def wait_at(self, wait: Wait) -> Obstacle:
        """A backend of the branch waits at the obstacle; the agent goes on."""
        EndOfBranch.make_possible(self.vault)
        if wait.after is not None:
            self.stop_at(wait.after)
        obstacle = wait.place(self)
        try:
            if wait.after is not None:
                self.cluster.agent.resume()
            else:
                self.begin()
            eventually(self.waiting, f"a backend of {self.resource} waits")
        except BaseException:
            obstacle.remove()
            raise
        return obstacle

    def waiting(self) -> list[Backend]:
        """The branch's that wait at an obstacle. What stops commits stops the agent's counter as well."""
        return [
            each
            for each in backends(self.vault.server, self.role)
            if any(words in each.waits_for for words in _WAITING) and not _OF_AGENT.search(each.runs)
        ]

    def backends(self) -> list[Backend]:
        """The branch's own while it has one, else all of the role: one of them will be asked next."""
        server = self.vault.server
        return writing_backends(server, self.role) or backends(server, self.role)

    def judge(self, *expected: str) -> None:
        """The client was told one of these; everything agrees with it; the same request_id commits once."""
        self.work.join()
        told = (self.told, self.order.detail)
        self.cluster.heal()
        self.work.check()
        assert told[0] in expected, f"told {told} instead of {expected}"


def _marker(standing: Standing) -> Obstacle:
    return MarkerKey(standing.vault, "harness", standing.order.request_id)


AT_MARKER = Wait(_marker)
IN_FIRST_STATEMENT = Wait(lambda s: AccountRow(s.vault, s.account))
IN_SECOND_STATEMENT = Wait(lambda s: LineKey(s.vault, s.name, s.account))
AT_END = Wait(lambda s: EndOfBranch(s.vault), after="agent.after_statements")
AFTER_END = Wait(lambda s: AnswerOfCommit(s.vault), after="agent.after_statements")
IN_COMMIT = Wait(
    lambda s: (AnswerOfCommit if s.vault.server.kind == "postgres" else EndOfBranch)(s.vault),
    after="agent.after_commit_started",
)
