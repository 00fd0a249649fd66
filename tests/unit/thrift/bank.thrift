/**
 * The IDL of the carrier's own tests: as the real one in its shape (one request per method, one declared
 * exception), and independent of it.
 */
namespace cpp troth.rpc.test
namespace py bank

exception BankError {
  1: i32 code,
  2: string message,
  3: optional i64 retry_after_ms,
  4: string code_name
}

struct Item {
  1: i64 id,
  2: string name,
  3: list<Item> children,
  4: map<string, i64> amounts,
  5: set<i32> numbers,
  6: bool flag,
  7: double ratio,
  8: binary blob,
  9: optional list<bool> bits
}

struct Text {
  1: string text
}

struct Ticket {
  1: i64 number
}

service Bank {
  Item echo(1: Item item) throws (1: BankError error),
  /** Not answered before `release` names the same ticket; answers its number. */
  i64 hold(1: Ticket ticket) throws (1: BankError error),
  /** Answers the held call; false: there is none. */
  bool release(1: Ticket ticket) throws (1: BankError error),
  /** How: declared, standard, foreign, undeclared, drop, twice. */
  void fail(1: Text how) throws (1: BankError error),
  /** As many bytes as asked for. */
  string produce(1: Ticket bytes) throws (1: BankError error),
  void ping() throws (1: BankError error),
  oneway void note(1: Text text)
}

service Clerk {
  /** The caller's address and the method, as the server knows them. */
  string who_calls() throws (1: BankError error),
  i64 notes_taken() throws (1: BankError error)
}
