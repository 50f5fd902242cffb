// The tables of outboxes, and what each write does to them.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type Entry, NEVER } from '../../session/entry.ts'
import { TEXT } from '../../session/frames.ts'
import type { OutboxRecord, SessionRecord, Write } from '../../session/store.ts'
import { StorageError } from '../StorageError.ts'
import { countOf, entryOf, limitsOf, type Row, textOf, timeOf } from './rows.ts'

/** Makes the tables where they are not there. Their names leave room for those of the app, and of later versions. */
export function createTables(database: DatabaseSync): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS guru_outbox_session (
      outbox TEXT PRIMARY KEY,
      sid TEXT NOT NULL, key TEXT NOT NULL, principal TEXT NOT NULL, ttl REAL NOT NULL,
      max_messages INTEGER NOT NULL, max_bytes INTEGER NOT NULL, max_frame INTEGER NOT NULL,
      epoch INTEGER NOT NULL, rx INTEGER NOT NULL, acked INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Those that wait for a number have none, and follow each other by place, then id.
    CREATE TABLE IF NOT EXISTS guru_outbox_message (
      id INTEGER PRIMARY KEY,
      outbox TEXT NOT NULL, number INTEGER, place INTEGER NOT NULL DEFAULT 0,
      seq INTEGER NOT NULL, stream INTEGER NOT NULL, payload ANY NOT NULL, bytes INTEGER NOT NULL,
      priority INTEGER NOT NULL, expires_at REAL NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS guru_outbox_numbered
      ON guru_outbox_message (outbox, number) WHERE number IS NOT NULL;
    CREATE UNIQUE INDEX IF NOT EXISTS guru_outbox_waiting
      ON guru_outbox_message (outbox, seq) WHERE number IS NULL;
    CREATE TABLE IF NOT EXISTS guru_outbox_done (
      outbox TEXT NOT NULL, sid TEXT NOT NULL, number INTEGER NOT NULL,
      PRIMARY KEY (outbox, sid, number)
    ) STRICT, WITHOUT ROWID;
  `)
}

const COLUMNS = 'seq, stream, payload, bytes, priority, expires_at'

/** The statements of one outbox; the first value of each is its name. */
export function prepareOutbox(database: DatabaseSync, name: string) {
  const prepare = (sql: string): StatementSync => database.prepare(sql)
  const session = prepare('SELECT * FROM guru_outbox_session WHERE outbox = ?')
  const numbered = prepare(
    `SELECT number, ${COLUMNS} FROM guru_outbox_message WHERE outbox = ? AND number IS NOT NULL ORDER BY number`,
  )
  const waiting = prepare(
    `SELECT ${COLUMNS} FROM guru_outbox_message WHERE outbox = ? AND number IS NULL ORDER BY place, id`,
  )
  const done = prepare('SELECT number FROM guru_outbox_done WHERE outbox = ? AND sid = ? AND number > ?')
  const addDone = prepare('INSERT OR IGNORE INTO guru_outbox_done VALUES (?, ?, ?)')
  const pruneDone = prepare('DELETE FROM guru_outbox_done WHERE outbox = ? AND sid = ? AND number <= ?')
  const pruneOtherDone = prepare('DELETE FROM guru_outbox_done WHERE outbox = ? AND sid <> ?')
  const insert = prepare(
    `INSERT INTO guru_outbox_message (outbox, number, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const number = prepare(
    'UPDATE guru_outbox_message SET number = ? WHERE outbox = ? AND seq = ? AND number IS NULL',
  )
  const drop = prepare('DELETE FROM guru_outbox_message WHERE outbox = ? AND seq = ? AND number IS NULL')
  const empty = prepare(
    `UPDATE guru_outbox_message SET seq = 0, stream = ${TEXT}, payload = '', bytes = 0 WHERE outbox = ? AND number = ?`,
  )
  const prune = prepare('DELETE FROM guru_outbox_message WHERE outbox = ? AND number <= ?')
  const acked = prepare('UPDATE guru_outbox_session SET acked = ? WHERE outbox = ?')
  const rx = prepare('UPDATE guru_outbox_session SET rx = max(rx, ?) WHERE outbox = ?')
  const epoch = prepare('UPDATE guru_outbox_session SET epoch = ? WHERE outbox = ?')
  const begin = prepare('INSERT INTO guru_outbox_session VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)')
  const end = prepare('DELETE FROM guru_outbox_session WHERE outbox = ?')
  const endMessages = prepare('DELETE FROM guru_outbox_message WHERE outbox = ? AND number IS NOT NULL')
  // Told already: nobody waits for them any more.
  const endVoids = prepare(
    'DELETE FROM guru_outbox_message WHERE outbox = ? AND number IS NOT NULL AND seq = 0',
  )
  const firstPlace = prepare(
    'SELECT min(place) AS place FROM guru_outbox_message WHERE outbox = ? AND number IS NULL',
  )
  const requeue = prepare(
    `UPDATE guru_outbox_message SET place = number - ?, number = NULL,
     priority = ${Number.MAX_SAFE_INTEGER}, expires_at = ${NEVER} WHERE outbox = ? AND number IS NOT NULL`,
  )

  const insertEntry = (given: number | null, { seq, stream, payload, bytes, priority, expiresAt }: Entry) =>
    insert.run(name, given, seq, stream, payload, bytes, priority, expiresAt)

  const endSession = () => {
    end.run(name)
    endMessages.run(name)
  }

  return {
    read(): OutboxRecord {
      const head = session.get(name)
      return {
        session:
          head &&
          toSession(head, numbered.all(name), done.all(name, textOf(head, 'sid'), countOf(head, 'rx'))),
        waiting: waiting.all(name).map(entryOf),
      }
    },

    /** `last` is the highest number of the session before this write. */
    record(write: Write, last: number): void {
      switch (write.kind) {
        case 'accept':
          insertEntry(null, write.entry)
          return
        case 'drop':
          drop.run(name, write.seq)
          return
        case 'number':
          if (number.run(write.number, name, write.entry.seq).changes === 0)
            insertEntry(write.number, write.entry)
          return
        case 'void':
          empty.run(name, write.number)
          return
        case 'prune':
          acked.run(write.acked, name)
          prune.run(name, write.acked)
          return
        case 'rx':
          rx.run(write.rx, name)
          pruneDone.run(name, write.sid, write.rx)
          return
        case 'epoch':
          epoch.run(write.epoch, name)
          return
        case 'begin': {
          const { sid, key, principal, ttl, limits } = write.session
          endSession()
          // Not those of the new session: its first handlers may have been quicker than this write.
          pruneOtherDone.run(name, sid)
          begin.run(name, sid, key, principal, ttl, limits.maxMessages, limits.maxBytes, limits.maxFrame)
          return
        }
        case 'end': {
          if (write.requeue) {
            endVoids.run(name)
            // Before all that waits, in their order.
            const first = Math.min(0, Number(firstPlace.get(name)?.place ?? 0))
            requeue.run(last + 1 - first, name)
          }
          endSession()
          pruneOtherDone.run(name, '')
        }
      }
    },

    /** Notes that the handler of a message has done its work; false when that is known. */
    addDone(sid: string, handled: number): boolean {
      return addDone.run(name, sid, handled).changes > 0
    },
  }
}

export type OutboxStatements = ReturnType<typeof prepareOutbox>

/** Forgets all that an outbox holds. */
export function forgetOutbox(database: DatabaseSync, name: string): void {
  for (const table of ['session', 'message', 'done'])
    database.prepare(`DELETE FROM guru_outbox_${table} WHERE outbox = ?`).run(name)
}

function toSession(head: Row, messages: readonly Row[], done: readonly Row[]): SessionRecord {
  messages.forEach(({ number }, index) => {
    if (number === countOf(head, 'acked') + 1 + index) return
    throw new StorageError(`the outbox has lost messages before ${number}: its file is damaged`, {
      reason: 'corrupt',
    })
  })
  return {
    sid: textOf(head, 'sid'),
    key: textOf(head, 'key'),
    principal: textOf(head, 'principal'),
    ttl: timeOf(head, 'ttl'),
    limits: limitsOf(head),
    epoch: countOf(head, 'epoch'),
    rx: countOf(head, 'rx'),
    done: done.map((row) => countOf(row, 'number')),
    acked: countOf(head, 'acked'),
    messages: messages.map(entryOf),
  }
}
