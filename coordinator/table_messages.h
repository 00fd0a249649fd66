// coordinator/table_messages.h
//
// What goes into the transaction table (table_inputs.h: what happened) and what comes out of it (table_effects.h:
// what the runtime is to do, in order). The runtime's duties:
//
// [D1] Carry out the effects of a step in their order, before the next step's.
// [D2] Keep a call's work until its AnswerExecute or AnswerStatement, also when the client is gone: SendPrepare and
//      SendStatement name it by call. A CommitRequested or RollbackRequested whose transaction is not active any more
//      is answered with an AnswerStatus: how it ended.
// [D3] Every SendPrepare comes back as exactly one PrepareReplied or PrepareFailed, SendSettle as one SettleReplied,
//      and SendStatement as one StatementReplied or StatementFailed of its call. A commit that gets no reply needs
//      none: the table sends it again.
// [D4] Hand every AskStore to the store, and its answer back under the same ticket.
// [D5] Give each step the clocks as read after the input left its queue, and call with TimePassed when `next_due()` is
//      reached.
// [D6] Every message to an agent carries the reign's epoch and the effect's watermark [T7] [T8].
#pragma once

#include "coordinator/table_effects.h"
#include "coordinator/table_inputs.h"
