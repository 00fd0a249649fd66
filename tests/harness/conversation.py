"""An interactive transaction, as a service written with a stock Thrift client has it."""

from __future__ import annotations

from harness.thrift_api import Client, api, statement


class Conversation:
    """
    with cluster.client() as client:
        talk = Conversation(client, request_id=..., timeout_ms=5000)
        talk.query("pg", "SELECT balance FROM account WHERE id = $1", 7)
        talk.query("my", statement("UPDATE ...", exactly=1))
        talk.commit()
    """

    def __init__(
        self, client: Client, request_id: str | None = None, label: str | None = None, **options
    ) -> None:
        types_ = api("transactions")
        self._client = client
        self._numbers: dict[str, int] = {}
        begun = client.begin_transaction(
            types_.BeginRequest(
                options=types_.BeginOptions(**options),
                client_name=client.name,
                request_id=request_id,
                label=label,
            )
        )
        self.id: str = begun.transaction_id
        self.already_committed: bool = begun.already_committed

    @classmethod
    def joined(cls, client: Client, transaction_id: str) -> Conversation:
        """One that was begun on another connection."""
        made = cls.__new__(cls)
        made._client, made._numbers = client, {}
        made.id, made.already_committed = transaction_id, False
        return made

    def query(self, resource: str, sql, *parameters, page_rows: int | None = None):
        """The next statement in this resource."""
        answer = self.ask(resource, self._numbers.get(resource, 0) + 1, sql, *parameters, page_rows=page_rows)
        self._numbers[resource] = self._numbers.get(resource, 0) + 1
        return answer

    def ask(self, resource: str, number: int, sql, *parameters, page_rows: int | None = None):
        """Under a number of the caller's choice."""
        made = statement(sql, *parameters) if isinstance(sql, str) else sql
        return self._client.query(
            api("transactions").QueryRequest(
                transaction_id=self.id,
                client_name=self._client.name,
                resource=resource,
                number=number,
                statement=made,
                page_rows=page_rows,
            )
        )

    def value(self, resource: str, sql, *parameters):
        """Of the only column of the only row."""
        rows = self.query(resource, sql, *parameters).result.rows
        assert len(rows) == 1 and len(rows[0].values) == 1, rows
        set_fields = [each for each in vars(rows[0].values[0]).values() if each is not None]
        return set_fields[0]

    def fetch(self, resource: str, number: int, from_row: int, page_rows: int | None = None):
        return self._client.fetch(
            api("transactions").FetchRequest(
                transaction_id=self.id,
                client_name=self._client.name,
                resource=resource,
                number=number,
                from_row=from_row,
                page_rows=page_rows,
            )
        )

    def commit(self, acknowledgement: int | None = None, timeout_ms: int | None = None):
        return self._client.commit(
            api("transactions").CommitRequest(
                transaction_id=self.id,
                client_name=self._client.name,
                acknowledgement=acknowledgement,
                timeout_ms=timeout_ms,
            )
        )

    def rollback(self) -> None:
        self._client.rollback(
            api("transactions").RollbackRequest(transaction_id=self.id, client_name=self._client.name)
        )

    def status(self):
        return self._client.status(api("transactions").StatusRequest(transaction_id=self.id))
