"""A server that is set back knows nothing of what happened since."""

from harness import Backup, fresh_database


def test_a_restored_server_has_what_it_had(server, workspace):
    database = fresh_database(server)
    server.sql("CREATE TABLE seen (id INT PRIMARY KEY); INSERT INTO seen VALUES (1)", database)
    backup = Backup(server, workspace)
    server.sql("INSERT INTO seen VALUES (2)", database)
    for _ in range(2):
        backup.restore()
        assert server.sql("SELECT id FROM seen", database) == [["1"]]
        server.sql("INSERT INTO seen VALUES (3)", database)
