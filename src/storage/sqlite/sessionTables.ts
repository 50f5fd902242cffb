// The tables of a server's sessions, and what each write does to them.

import type { DatabaseSync } from 'node:sqlite'
import type { Entry } from '../../session/entry.ts'
import { TEXT } from '../../session/frames.ts'
import type { StoredSession, Write } from '../../session/store.ts'
import { StorageError } from '../StorageError.ts'
import { countOf, entryOf, limitsOf, type Row, textOf, timeOf } from './rows.ts'

/** Makes the tables where they are not there. Their names leave room for those of the app, and of later versions. */
export function createSessionTables(database: DatabaseSync): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS guru_session (
      sid TEXT PRIMARY KEY,
      key TEXT NOT NULL, principal TEXT NOT NULL, ttl REAL NOT NULL,
      max_messages INTEGER NOT NULL, max_bytes INTEGER NOT NULL, max_frame INTEGER NOT NULL,
      epoch INTEGER NOT NULL, rx INTEGER NOT NULL, acked INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Those that wait for a number have none, and follow each other by id.
    CREATE TABLE IF NOT EXISTS guru_session_message (
      id INTEGER PRIMARY KEY,
      sid TEXT NOT NULL, number INTEGER,
      seq INTEGER NOT NULL, stream INTEGER NOT NULL, payload ANY NOT NULL, bytes INTEGER NOT NULL,
      priority INTEGER NOT NULL, expires_at REAL NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS guru_session_numbered
      ON guru_session_message (sid, number) WHERE number IS NOT NULL;
    CREATE UNIQUE INDEX IF NOT EXISTS guru_session_waiting
      ON guru_session_message (sid, seq) WHERE number IS NULL;
    CREATE TABLE IF NOT EXISTS guru_session_done (
      sid TEXT NOT NULL, number INTEGER NOT NULL,
      PRIMARY KEY (sid, number)
    ) STRICT, WITHOUT ROWID;
  `)
}

const COLUMNS = 'seq, stream, payload, bytes, priority, expires_at'

/** The statements of the tables. */
export function prepareSessions(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql)
  const sids = prepare('SELECT sid FROM guru_session')
  const head = prepare('SELECT * FROM guru_session WHERE sid = ?')
  const progress = prepare('SELECT epoch, rx FROM guru_session WHERE sid = ?')
  // Beyond those that are acknowledged: a write that prunes may have been lost.
  const numbered = prepare(
    `SELECT number, ${COLUMNS} FROM guru_session_message WHERE sid = ? AND number > ? ORDER BY number`,
  )
  const waiting = prepare(
    `SELECT ${COLUMNS} FROM guru_session_message WHERE sid = ? AND number IS NULL ORDER BY id`,
  )
  const done = prepare('SELECT number FROM guru_session_done WHERE sid = ? AND number > ? ORDER BY number')
  const addDone = prepare('INSERT OR IGNORE INTO guru_session_done VALUES (?, ?)')
  const pruneDone = prepare('DELETE FROM guru_session_done WHERE sid = ? AND number <= ?')
  const insert = prepare(
    `INSERT INTO guru_session_message (sid, number, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const number = prepare(
    'UPDATE guru_session_message SET number = ? WHERE sid = ? AND seq = ? AND number IS NULL',
  )
  const drop = prepare('DELETE FROM guru_session_message WHERE sid = ? AND seq = ? AND number IS NULL')
  const empty = prepare(
    `UPDATE guru_session_message SET seq = 0, stream = ${TEXT}, payload = '', bytes = 0 WHERE sid = ? AND number = ?`,
  )
  const prune = prepare('DELETE FROM guru_session_message WHERE sid = ? AND number <= ?')
  const acked = prepare('UPDATE guru_session SET acked = max(acked, ?) WHERE sid = ?')
  const rx = prepare('UPDATE guru_session SET rx = max(rx, ?) WHERE sid = ?')
  const epoch = prepare('UPDATE guru_session SET epoch = ? WHERE sid = ?')
  const begin = prepare('INSERT INTO guru_session VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0)')
  const end = prepare('DELETE FROM guru_session WHERE sid = ?')
  const endMessages = prepare('DELETE FROM guru_session_message WHERE sid = ?')
  const endDone = prepare('DELETE FROM guru_session_done WHERE sid = ?')

  const insertEntry = (
    sid: string,
    given: number | null,
    { seq, stream, payload, bytes, priority, expiresAt }: Entry,
  ) => insert.run(sid, given, seq, stream, payload, bytes, priority, expiresAt)

  return {
    sids: (): string[] => sids.all().map((row) => textOf(row, 'sid')),

    find(sid: string): StoredSession | undefined {
      const row = head.get(sid)
      if (!row) return undefined
      return {
        session: {
          sid,
          key: textOf(row, 'key'),
          principal: textOf(row, 'principal'),
          ttl: timeOf(row, 'ttl'),
          limits: limitsOf(row),
          epoch: countOf(row, 'epoch'),
          rx: countOf(row, 'rx'),
          done: done.all(sid, countOf(row, 'rx')).map((row) => countOf(row, 'number')),
          acked: countOf(row, 'acked'),
          messages: withoutGap(numbered.all(sid, countOf(row, 'acked')), countOf(row, 'acked')).map(entryOf),
        },
        waiting: waiting.all(sid).map(entryOf),
      }
    },

    /** How far a session is; `undefined` when it is not there. */
    progress(sid: string): { readonly epoch: number; readonly rx: number } | undefined {
      const row = progress.get(sid)
      return row && { epoch: countOf(row, 'epoch'), rx: countOf(row, 'rx') }
    },

    record(sid: string, write: Write): void {
      switch (write.kind) {
        case 'accept':
          insertEntry(sid, null, write.entry)
          return
        case 'drop':
          drop.run(sid, write.seq)
          return
        case 'number':
          if (number.run(write.number, sid, write.entry.seq).changes === 0)
            insertEntry(sid, write.number, write.entry)
          return
        case 'void':
          empty.run(sid, write.number)
          return
        case 'prune':
          acked.run(write.acked, sid)
          prune.run(sid, write.acked)
          return
        case 'rx':
          rx.run(write.rx, sid)
          pruneDone.run(sid, write.rx)
          return
        case 'epoch':
          epoch.run(write.epoch, sid)
          return
        case 'begin': {
          const { key, principal, ttl, limits } = write.session
          begin.run(sid, key, principal, ttl, limits.maxMessages, limits.maxBytes, limits.maxFrame)
          return
        }
        case 'end':
          end.run(sid)
          endMessages.run(sid)
          endDone.run(sid)
      }
    },

    /** Notes that the handler of a message has done its work; false when that is known. */
    addDone: (sid: string, handled: number): boolean => addDone.run(sid, handled).changes > 0,
  }
}

export type SessionStatements = ReturnType<typeof prepareSessions>

function withoutGap(messages: readonly Row[], acked: number): readonly Row[] {
  for (const [index, { number }] of messages.entries()) {
    if (number === acked + 1 + index) continue
    throw new StorageError(`a session has lost messages before ${number}: the file is damaged`, {
      reason: 'corrupt',
    })
  }
  return messages
}
